from keras_transformer.zoo.tabular import Grid, Metrics, Tabular


class Result(Tabular):
    def grids(self):
        rows = [("a", 1234, None), ("<b>", 5, 0.5)]
        return [Grid("Two & more", ("name", "count", "share"), rows)]


def test_a_result_reads_as_a_table():
    assert repr(Result()) == (
        "Two & more\n"
        "name  count   share\n"
        "----  -----  ------\n"
        "a     1,234       -\n"
        "<b>       5  0.5000"
    )


def test_a_notebook_shows_html():
    page = Result()._repr_html_()
    assert page.startswith("<table><caption>Two &amp; more</caption><thead><tr><th>name</th>")
    assert "<td>&lt;b&gt;</td><td>5</td><td>0.5000</td>" in page


def test_metrics_are_a_dictionary_with_a_table_for_each_group():
    per_class = {"a": {"f1": 0.25, "rows": 2}, "b": {"f1": 1.0, "rows": 3}}
    found = Metrics(rows=5, macro_f1=0.75, per_class=per_class)
    assert found == {"rows": 5, "macro_f1": 0.75, "per_class": per_class}
    assert repr(found) == (
        "metric     value\n"
        "--------  ------\n"
        "rows           5\n"
        "macro F1  0.7500\n"
        "\n"
        "per class\n"
        "       F1  rows\n"
        "-  ------  ----\n"
        "a  0.2500     2\n"
        "b  1.0000     3"
    )
    assert found._repr_html_().count("<table>") == 2
