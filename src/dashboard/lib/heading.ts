/** Focus goes to the heading from where it has nothing to do any more: from a menu, or from what is gone. */
export function toHeading(): void {
  const active = document.activeElement;
  const lost = active === null || active === document.body || active.closest(".menu, .phone-menu") !== null;
  if (!lost || document.querySelector("[autofocus]") !== null) return;
  const heading = document.querySelector<HTMLElement>("h1");
  heading?.setAttribute("tabindex", "-1");
  heading?.focus({ preventScroll: true });
}
