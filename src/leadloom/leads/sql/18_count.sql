-- What became of the page, by outcome, and why contacts were left out.
SELECT outcome, reason, count(*) FROM incoming WHERE is_counted GROUP BY outcome, reason
