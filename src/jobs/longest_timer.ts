/** Milliseconds that timers can wait: 32 bits. One that is to wait longer goes off at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;
