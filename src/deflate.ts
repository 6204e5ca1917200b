/** No deflated bytes become more than this many each (zlib's documentation). */
export const MAX_DEFLATE_RATIO = 1032;
