import pytest

from longhold.study.plan.plan import Plan
from longhold.study.report import Document, study_document
from longhold.study.rows.row import Row
from tests.study.report.rows_made_up import large, rows_of, small


@pytest.fixture(scope="session")
def plan() -> Plan:
    return large()


@pytest.fixture(scope="session")
def rows(plan) -> list[Row]:
    return rows_of(plan)


@pytest.fixture(scope="session")
def document(plan, rows) -> Document:
    return study_document(rows, plan, "longhold study run large")


@pytest.fixture(scope="session")
def few() -> Plan:
    return small()


@pytest.fixture(scope="session")
def few_rows(few) -> list[Row]:
    return rows_of(few)
