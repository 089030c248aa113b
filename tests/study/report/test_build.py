"""What the report says follows from the rows it is given."""

import statistics

import pytest
from statsmodels.stats.proportion import proportion_confint

from longhold.study.plan.plan import Plan
from longhold.study.report import render_markdown, render_page, study_document
from tests.study.columns import row_of
from tests.study.report.pages import Page, markdown_page
from tests.study.report.rows_made_up import FAILURE, failed, rows_of

LONGER = "the trained horizon of lstm chrono (told the lag) is longer than that of lstm forget:1"
SHORTER = "the trained horizon of lstm forget:1 is longer than that of lstm chrono (told the lag)"


def shown(rows, plan=None) -> Page:
    return Page(render_page(study_document(map(row_of, rows), plan, "command")))


@pytest.fixture(scope="module")
def values(rows):
    return [row.to_json() for row in rows]


@pytest.fixture(scope="module")
def page(values, plan):
    return shown(values, plan)


def table_under(page, *head):
    return next(table[1:] for table in page.numbers() if tuple(table[0][: len(head)]) == head)


def test_predictions_have_a_verdict_each(page):
    words = page.words()
    assert LONGER in words
    assert words.count("✓ confirmed") + words.count("✗ contradicted") + words.count("? not resolved") >= 3
    assert "Of 3 predictions with rows" in words


def test_without_its_rows_a_claim_is_gone(values, plan):
    words = shown([row for row in values if row["arm"] != "lstm forget:1"], plan).words()
    assert LONGER not in words
    assert "Not tested: longer. It lacks rows of one arm or of both." in words
    assert "hold: 60 runs of the plan not there. lstm forget:1 60" in words


def test_rows_that_change_sides_reverse_the_claim(values, plan):
    names = {"lstm forget:1": "lstm chrono (told the lag)", "lstm chrono (told the lag)": "lstm forget:1"}
    words = shown([{**row, "arm": names.get(row["arm"], row["arm"])} for row in values], plan).words()
    assert LONGER not in words
    assert SHORTER in words
    assert "✗ contradicted" in words


def test_without_its_rows_an_arm_has_no_sign(values):
    left = shown([row for row in values if row["arm"] != "rnn orthogonal"])
    assert "rnn orthogonal" not in left.words()
    assert not any("rnn orthogonal" in title for title in left.titles)


def test_the_share_that_solves_has_wilsons_interval(page, values):
    table = table_under(page, "arm", "lag, steps", "solved", "proportion, 95 % interval")
    for arm, lag, solved, told, *_ in table:
        count, seeds = (int(part) for part in solved.split(" of "))
        assert seeds == 10
        low, high = proportion_confint(count, seeds, method="wilson")
        assert told == f"{count / seeds:.2f}, {max(low, 0):.2f} to {min(high, 1):.2f}"
        assert count == sum(
            row["solved"] for row in values
            if (row["arm"], row["level"], row["experiment"], row["stage"]) == (arm, int(lag), "hold", "result")
        )  # fmt: skip


def test_horizons_beyond_the_grid_are_told_as_bounds(page):
    table = {row[0]: row for row in table_under(page, "arm", "steps", "95 % interval")}
    assert table["lstm chrono (told the lag)"][1] == ">= 512"
    assert any("< 16" in " ".join(row) for row in table.values())
    assert 100 < float(table["transformer uniform"][1]) < 400


def test_the_median_time_is_that_of_the_seeds_where_all_solve(page, values):
    table = next(t[1:] for t in page.numbers() if t[0][-1].startswith("steps of every seed"))
    row = next(row for row in table if row[:2] == ["gru chrono (told the lag)", "16"])
    mine = [r["solved_step"] for r in values
            if (r["arm"], r["level"], r["stage"], r["experiment"]) == (row[0], 16, "result", "hold")]  # fmt: skip
    assert None not in mine
    assert row[2] == "10 of 10"
    assert row[3] == f"{sorted(mine)[4]:,}"
    assert row[5] == ", ".join(f"{step:,}" for step in mine)


def test_seeds_that_had_not_solved_are_told_as_such(page):
    table = next(t[1:] for t in page.numbers() if t[0][-1].startswith("steps of every seed"))
    row = next(row for row in table if row[2] == "0 of 10" or row[2].startswith("0 of"))
    assert row[3].startswith("> ")
    assert all(part.endswith("+") for part in row[5].split(", "))


def test_costs_are_those_of_the_rows(page, values):
    row = next(row for row in table_under(page, "arm", "runs", "failed") if row[0] == "lstm chrono (told the lag)")
    mine = [r for r in values if (r["arm"], r["experiment"], r["stage"]) == (row[0], "hold", "result")]
    assert row[1] == str(len(mine))
    assert row[3:7] == ["38", "7,038", "304", "14,166"]
    assert row[-1] == f"{sum(r['seconds'] for r in mine):,.0f}"


def test_tuning_rows_are_shown_by_rate_and_nowhere_else(page, values):
    table = next(t for t in page.numbers() if t[0][1:6] == ["0.0003", "0.001", "0.003", "0.01", "0.03"])
    tuned = [r for r in values if r["stage"] == "tuning" and r["arm"] == table[1][0] and r["experiment"] == "hold"]
    for lr, cell in zip(table[0][1:6], table[1][1:6], strict=True):
        mine = [r["solved"] for r in tuned if r["lr"] == float(lr)]
        assert cell == f"{sum(mine)} of {len(mine)}"
    assert table[1][6] == "0.003"
    assert "seed = 100 ·" not in " ".join(page.titles)


def test_tests_at_several_places_are_shown_by_place(page, values):
    table = table_under(page, "arm", "attractors", "solved")
    assert [row[1] for row in table] == ["0", "1", "2", "3", "4"] * 2
    mine = [r["by_lag"] for r in values if (r["experiment"], r["arm"]) == ("agreement", "gru uniform")]
    assert table[3][4] == ", ".join(f"{tests[3]['recall']:.2f}" if tests else "failed" for tests in mine)


def test_what_is_missing_is_counted_and_what_the_plan_spares_is_not(page, values, plan):
    """`rows_of` leaves out the last run; no other is missing, though ladders ended early."""
    words = page.words()
    assert "agreement: 1 run of the plan not there. lstm uniform 1" in words
    assert "hold:" not in words.partition("runs of the plan not there")[2]
    fewer = [r for r in values if not (r["arm"] == "rnn uniform" and r["experiment"] == "adding" and r["seed"] < 3)]
    assert "adding: 3 runs of the plan not there. rnn uniform 3" in shown(fewer, plan).words()


def test_failed_runs_count_as_not_solving_and_are_named(page):
    words = page.words()
    assert f"hold: 1 run failed and count as not solving. rnn uniform, lag 32, seed 0: {FAILURE}" in words


def test_what_longhold_has_and_the_rows_have_not_is_listed(page):
    words = page.words()
    assert "Tasks without rows here. anbn, anbn_strings, parity" in words.replace("stream_recall, ", "")
    assert "Architectures without rows here. irnn, mingru" in words


def test_without_rows_the_page_says_so(plan):
    words = shown([], plan).words()
    assert "There are no rows yet" in words
    assert "No run has ended yet." in words
    assert "runs of the plan not there" in words
    assert "Results of each seed" not in words
    assert "There are no rows yet" in markdown_page(render_markdown(study_document([], None, ""))).words()


def test_one_seed_is_shown_and_nothing_is_claimed(few, few_rows):
    one = [row.to_json() for row in few_rows if row.spec.seed == 0]
    page = shown(one, few)
    assert "fewer than 10 seeds, so nothing is claimed of these arms" in page.words()
    assert "is longer than" not in page.words()
    assert len(page.titles) >= len(one)


def test_a_study_in_which_every_run_failed_makes_a_page(few, few_rows):
    page = shown([failed(row).to_json() for row in few_rows], few)
    assert page.words().count(FAILURE) == len(few_rows)
    assert any("recall = failed" in title for title in page.titles)


def test_a_study_that_is_under_way_makes_a_page(few, few_rows):
    """No seed has a row at every lag, so that the horizon cannot be judged yet."""
    begun = [row.to_json() for row in few_rows if (row.spec.seed, row.spec.level) in {(0, 16), (1, 64), (2, 256)}]
    words = shown(begun, few).words()
    assert "Not tested: chrono." in words
    assert "is longer than" not in words


def test_what_instruments_saw_is_shown_where_rows_carry_it(few, few_rows):
    plain = [row.to_json() for row in few_rows]
    assert "Why: inside the models" not in shown(plain, few).words()
    gradient = [{"lag": lag, "start": 0.5**lag, "trained": 0.9**lag} for lag in (1, 2, 4, 8)]
    gates = {"start": [1, 2, 3, 4, 5.5], "trained": [2, 4, 8, 16, 321], "longest": 400.0, "caution": "for once fine"}
    page = shown([{**plain[0], "gradient_by_lag": gradient, "time_constants": gates}, *plain[1:]], few)
    words = page.words()
    assert "1: 0.9, 2: 0.81, 4: 0.656, 8: 0.43" in words
    assert "0.00391 → 0.43" in words
    assert "2, 4, 8, 16, 321" in words
    assert "0 of 1 not to be read as memory" in words
    assert "cannot be said" in words


def test_medians_and_probabilities_are_over_seeds(few, few_rows):
    def seen(row, longest):
        gates = {"start": (), "trained": [longest / 9] * 5, "longest": longest,
                 "caution": "not to be read as memory: no"}  # fmt: skip
        return {**row.to_json(), "time_constants": gates}

    first = few_rows[0]
    rows = [
        {**seen(first, longest), "digest": f"{seed:032x}", "seed": seed, "error": None, "solved": solved, "recall": 0.5}
        for seed, (solved, longest) in enumerate([(True, 90.0), (True, 900.0), (False, 45.0), (False, 180.0)])
    ]
    table = table_under(shown(rows), "arm", "lag", "solve", "do not")
    assert table[0][2:] == ["2", "2", "0.75 (0.00–1.00)"]
    words = shown(rows).words()
    assert "15, 15, 15, 15, 15" in words
    assert "4 of 4 not to be read as memory" in words


def test_two_groups_of_seeds_are_told_as_two(few, few_rows):
    first = few_rows[0]
    values = [
        {**first.to_json(), "digest": f"{seed:032x}", "seed": seed, "recall": 0.99 if seed < 6 else 0.01, "error": None,
         "solved": seed < 6, "score": 0.5}
        for seed in range(10)
    ]  # fmt: skip
    assert "two groups: 4 near 0.01, 6 near 0.99" in shown(values).words()


def test_weights_set_by_hand_stand_beside_trained_ones(page, values):
    tables = [table for table in page.numbers() if "by hand: units" in table[0]]
    assert len(tables) == 6
    hold = {row[0]: row[1:] for row in tables[0][1:]}
    share = sum(
        row["solved"] for row in values if (row["arm"], row["level"], row["stage"]) == ("rnn orthogonal", 512, "result")
    )
    assert hold["rnn orthogonal"] == [f"{share} of 10", "81", "8", "288", "1", "1.00", "✓ yes, 1,000 sequences"]
    assert hold["lstm forget:1"][2:4] == ["8", "936"]
    assert hold["transformer uniform"][2:] == ["not tested", "–", "–", "–", "–"]
    adding = {row[0]: row[1:] for row in next(table for table in tables if "by hand: squared error" in table[0])[1:]}
    assert adding["rnn uniform"][2] == adding["gru uniform"][2] == "not tested"
    assert adding["lstm uniform"][2] == "1"
    assert 0 < float(adding["lstm uniform"][4]) < 1e-6
    assert "hold, at lag 512: trained, and set by hand" in page.words()


def test_a_task_that_nobody_knows_is_passed_over(few, few_rows):
    values = [{**row.to_json(), "task": {**row.spec.task, "name": "from elsewhere"}} for row in few_rows]
    assert "Learnable against representable" not in shown(values).words()


def test_long_tables_of_instruments_are_folded(few, few_rows):
    gates = {"start": [1, 2, 3, 4, 5.5], "trained": [2, 4, 8, 16, 321], "longest": 400.0, "caution": "for once fine"}
    rows = []
    for row in few_rows:
        norms = [{"lag": lag, "start": 0.5, "trained": 0.9**lag / (1 + row.spec.seed)} for lag in (1, row.spec.level)]
        rows.append({**row.to_json(), "gradient_by_lag": norms, "time_constants": gates})
    document = study_document(map(row_of, rows), few, "")
    page, written = Page(render_page(document)), markdown_page(render_markdown(document))
    places = {(row.spec.arm, row.spec.level) for row in few_rows}
    constants = [table for table in page.numbers() if table[0][-1] == "caution"]
    assert [len(table) - 1 for table in constants] == [2, len(places)]
    assert page.words().count(f"All {len(places)} rows") == 1
    assert [len(table) - 1 for table in written.numbers() if table[0][-1] == "caution"] == [2]
    seeds = next(table for table in page.numbers() if table[0][-1] == "lag: norm after training")
    assert len(seeds) - 1 == sum(row.spec.level == int(seeds[1][1]) for row in few_rows)
    level = seeds[1][1]
    middle = next(table for table in written.numbers() if table[0] == ["arm", "1", level])
    for arm, *norms in middle[1:]:
        shares = [1 / (1 + row.spec.seed) for row in few_rows if (row.spec.arm, row.spec.level) == (arm, int(level))]
        assert norms == [f"{0.9**lag * statistics.median(shares):.3g}" for lag in (1, int(level))]
    assert not any(table[0][-1] == "lag: norm after training" for table in written.numbers())


def test_horizons_stand_against_truncation(few):
    values = {**few.model_dump(), "experiments": [{**few.experiments[0].model_dump(), "truncations": [8, "full"]}]}
    cut = Plan(**{**values, "family": None})
    rows = [row.to_json() for row in rows_of(cut)]
    page = shown(rows, cut)
    horizons = {row[0]: row[1] for row in table_under(page, "arm", "steps", "95 % interval")}
    table = next(table for table in page.numbers() if table[0] == ["gradients go back, steps", "8", "all"])
    assert [row[0] for row in table[1:]] == ["lstm uniform", "lstm chrono (told the lag)"]
    for arm, short, whole in table[1:]:
        assert short.split("\n")[0] == horizons[f"{arm}, truncated at 8"]
        assert whole.split("\n")[0] == horizons[arm]
    whole = [row for row in rows if "truncation" not in row["spec"]]
    assert "gradients go back" not in shown(whole, cut).words()
