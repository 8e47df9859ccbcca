/** A hook that hears of each message, and lets it pass. */
// biome-ignore lint/style/noDefaultExport: this is how a module is a hook
export default () => ({ authPublish() {}, published() {}, delivered() {} });
