// Names and focus that the theme leaves out, for screen readers and keyboards.
const mend = () => {
  document.querySelectorAll(".md-code__nav").forEach(each => each.setAttribute("role", "none"));
  document.querySelectorAll(".md-typeset__scrollwrap").forEach(each => each.setAttribute("tabindex", "0"));
  document.querySelectorAll(".md-search[role=dialog]").forEach(each => each.setAttribute("aria-label", "Search"));
  document.querySelectorAll(".md-nav[aria-labelledby]").forEach(each => {
    each.setAttribute("aria-label", each.querySelector(".md-nav__title").textContent.trim());
    each.removeAttribute("aria-labelledby");
  });
};
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
