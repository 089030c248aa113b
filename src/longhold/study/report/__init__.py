"""The study's report: one page, the same as Markdown, and the rows as CSV."""

from longhold.study.report.build import study_document as study_document
from longhold.study.report.document import Document as Document
from longhold.study.report.markdown import render_markdown as render_markdown
from longhold.study.report.page import render_page as render_page
from longhold.study.report.reproduce import rows_digest as rows_digest
from longhold.study.report.write import Files as Files
from longhold.study.report.write import report_kinds as report_kinds
from longhold.study.report.write import report_of as report_of
from longhold.study.report.write import write_study_report as write_study_report
