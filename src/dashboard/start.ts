/** Lets the browser paint what index.html says before anything else runs: that needs the page and its styles alone. */

function begin(): void {
  performance.mark("begin");
  void import("./main.tsx");
}

// A tab that opens behind others paints nothing, and is not to wait for it.
if (document.hidden) begin();
else requestAnimationFrame(() => setTimeout(begin));
