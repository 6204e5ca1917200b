export { getRequestListener } from "npm:@hono/node-server@2.1.9";
