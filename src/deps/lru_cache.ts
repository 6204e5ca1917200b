export { LRUCache } from "npm:lru-cache@11.5.3";
