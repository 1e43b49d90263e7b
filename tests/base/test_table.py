from unisono.base.table import Table

TABLE = Table("Title\nmore", ("name", "count", "note"), [("a", "1", "x<y"), ("long name", "1,000", "")], words=(0, 2))


def test_text_is_aligned_without_trailing_blanks():
    assert str(TABLE).splitlines() == [
        "Title",
        "more",
        "name       count  note",
        "a              1  x<y",
        "long name  1,000",
    ]


def test_html_is_escaped():
    html = TABLE.html()
    assert "Title<br>more" in html and "x&lt;y" in html and html.count("<tr>") == 3
    assert '<td style="text-align: right">1,000</td>' in html
