"""What a prompt could be, in the words of a text."""

import pytest

from longhold.data.openings import common_opening


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("The cat sat. A dog lay! The bird sang? the end.\n" * 3, "The"),
        ("“Where?” said he. ‘Where is it?’ Where now?\n\n  12 Where else\nWhere", "Where"),
        ("L'été vient. L'hiver part. L'été reste.", "L'été"),
        ("子曰：「學而時習之。」子曰：「巧言令色。」有子曰：「其為人也。」" * 4, "子曰"),
        ("今天下雨。今天不去。明天再说。" * 30, "今天"),
        ("吾輩は猫である。吾輩は知らぬ。名前は無い。" * 9, "吾輩"),
        ("- -x --y\n-z -z", "x"),
        ("12 34\n56", ""),
        ("'; rm -rf ~\n'; rm -rf ~", "rm"),
        ("今天下雨，明天不下。\n" * 9, "今天"),
        ("apple\npear\npear\n", "pear"),
        ("แมวกินปลา\nแมวนอน\n", "แม"),
        ("a" * 300, ""),
        ("", ""),
    ],
)
def test_the_most_common_start(text: str, opening: str) -> None:
    assert common_opening(text) == opening


def test_the_first_of_equals() -> None:
    assert common_opening("Zebra runs. Apple falls.") == "Zebra"
