"""What axe-core finds wrong on an open page, in words."""

from axe_playwright_python.sync_playwright import Axe

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")


def violations(page, known=(), leave_out=()):
    """``rule at element: what to do`` for WCAG 2 A and AA and best practice, without ``known``.

    ``leave_out``: selectors of what is not looked at.
    """
    # The theme lets the keyboard reach what scrolls when a page has loaded, which on a busy machine
    # is after its network has been idle.
    page.wait_for_load_state("load")
    context = {"exclude": [[selector] for selector in leave_out]}
    options = {
        "runOnly": {"type": "tag", "values": TAGS},
        "rules": {rule: {"enabled": False} for rule in known},
        "resultTypes": ["violations"],
        "preload": False,  # axe would ask for the style sheets again
    }
    found = Axe().run(page, context=context if leave_out else None, options=options).response
    assert len(found["passes"]) > 10  # the rules were run at all
    return [
        f"{rule['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
