"""What axe-core finds wrong on an open page, in words."""

from axe_playwright_python.sync_playwright import Axe

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")


# The words of code have a few colours, thousands of times on a page of the reference.
ONE_OF_EACH_KIND = """() => {
  const seen = new Set();
  for (const word of document.querySelectorAll(".highlight pre span, dt.sig span")) {
    if (!word.isConnected || word.id || word.querySelector("a")) continue;
    const around = word.closest("pre, dt").className;
    const kind = [word.className, word.parentElement.className, around].join();
    if (seen.has(kind)) word.replaceWith(word.textContent);
    else seen.add(kind);
  }
}"""


def violations(page, known=()):
    """``rule at element: what to do`` for WCAG 2 A and AA and best practice, without ``known``.

    Of the words of code one of each colour and surrounding is looked at; the others become text.
    """
    # The theme lets the keyboard reach what scrolls when a page has loaded, which on a busy machine
    # is after its network has been idle.
    page.wait_for_load_state("load")
    page.evaluate(ONE_OF_EACH_KIND)
    options = {
        "runOnly": {"type": "tag", "values": TAGS},
        "rules": {rule: {"enabled": False} for rule in known},
        "resultTypes": ["violations"],
        "preload": False,  # axe would ask for the style sheets again
    }
    found = Axe().run(page, options=options).response
    assert len(found["passes"]) > 10  # the rules were run at all
    return [
        f"{rule['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
