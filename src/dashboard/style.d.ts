/** Style sheets are bundled, and are nothing to scripts. */
declare module "*.css";
