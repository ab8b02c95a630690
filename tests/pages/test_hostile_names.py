"""Names of strangers show as they are: no markup, no link, no formula, no LaTeX, nowhere."""

import json
import re

import pytest

from trendcast.ui import text

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<b>bold</b>",
    "<a href='http://evil'>x</a>",
    "[link](http://evil.example)",
    "![img](http://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "$\\frac{1}{2}$",
    "$$x$$",
    ":red[danger]",
    ":material/home:",
    ":smile:",
    ":blue-background[x]",
    "# title",
    "**bold**",
    "_it_",
    "~~no~~",
    "`code`",
    "```\ncode",
    "> quote",
    "- item",
    "1. item",
    "| a | b |",
    "---",
    "http://evil.example",
    "www.evil.example",
    "me@evil.example",
    "'quoted'",
    '"quoted"',
    "HB,NI",
    "a;b",
    "%{x}",
    "%s %d",
    "{0}",
    "{{x}}",
    "\\",
    "\\n",
    "a\\",
    "&amp;",
    "&#60;img&#62;",
    "<br>",
    "<sub>1</sub>",
    "שלום עולם",
    "مرحبا",
    "\u202eevil",
    "\u2066x",
    "日本語",
    "🙂🙃",
    "e\u0301",
    "a\u200bb",
    "=1+1",
    "+1",
    "-1",
    "@x",
    "' OR 1=1 --",
    "; DROP TABLE run;",
    "../../etc/passwd",
    "null",
    "NaN",
    "x" * 100,
)


def test_there_are_sixty_of_them():
    assert len(HOSTILE) == 60


def rendered(markdown: str) -> str:
    """What a CommonMark reader shows: escapes undone."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_keeps_the_letters_and_drops_the_meaning(name):
    shown = text.markdown(name, 200)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`$<>\[\]:~|]", shown), "an unescaped mark"
    back = rendered(shown).replace(text.JOINER, "").strip(text.ISOLATE + text.RELEASE)
    assert back == text.plain(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_plotly_text_has_no_tag_no_template_and_no_latex(name):
    shown = text.plotly(name, 200)
    assert not re.search(r"[<>$%{}\"']", shown)
    assert not re.search(r"&(?!#\d+;)", shown)


def test_hostile_names_go_through_the_page_as_text(make_retailer, open_page):
    retailer = make_retailer(categories=HOSTILE, regions=("<img src=x onerror=alert(2)>", "HB,NI"), stores=1)
    for name in ("<img src=x onerror=alert(1)>", "$\\frac{1}{2}$", ":red[danger]", "[link](http://evil.example)"):
        retailer.reads = 0
        app = open_page(level="category_region", category=name, region="HB,NI")
        assert not app.exception
        assert not app.warning
        for kind in ("header", "markdown", "caption", "subheader"):
            for element in app.get(kind):
                assert "allow_html" not in str(element.proto) or not element.proto.allow_html
                assert name not in element.value
        for chart in app.get("plotly_chart"):
            assert "onerror" not in json.dumps(json.loads(chart.proto.spec))


def test_a_hostile_event_is_inert_in_the_chart(make_retailer, open_page):
    retailer = make_retailer()
    plain = retailer.history_daily
    retailer.history_daily = lambda run, ids: plain(run, ids).assign(events="<img src=x onerror=alert(3)> $x$ %{y}")
    app = open_page()
    assert not app.exception
    spec = app.get("plotly_chart")[0].proto.spec
    assert "<img" not in spec
    assert "\\u003cimg" not in spec
    assert "%{y}" not in spec
