"use strict";
(function () {
  function reveal() {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    for (var at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") { at.open = true; }
    }
    if (target) { target.scrollIntoView(); }
  }
  var opened = [];
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", function () {
    opened = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    opened.forEach(function (each) { each.open = true; });
  });
  addEventListener("afterprint", function () {
    opened.forEach(function (each) { each.open = false; });
  });
  document.querySelectorAll('a[href^="#"]').forEach(function (link) {
    link.addEventListener("click", function () { setTimeout(reveal, 0); });
  });
  document.querySelectorAll("a.save").forEach(function (link) {
    link.href = link.closest("figure").querySelector("img").src;
    link.hidden = false;
    link.setAttribute("aria-label", "Download " + link.download);
  });
  reveal();
})();
