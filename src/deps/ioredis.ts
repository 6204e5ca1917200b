export * from "npm:ioredis@6.0.0";
