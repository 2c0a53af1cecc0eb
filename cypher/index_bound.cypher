// purpose: One more than the greatest index of a label, 0 without nodes.
// use: export
// columns: bound
// writes: no
MATCH (n:{{label}})
WHERE n.index >= 0
WITH max(n.index) AS greatest
RETURN coalesce(greatest + 1, 0) AS bound
