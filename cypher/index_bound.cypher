// purpose: One more than the greatest index of a label, 0 without nodes.
// use: export
// columns: bound
// writes: no
MATCH (n:{{label}})
RETURN coalesce(max(n.index) + 1, 0) AS bound
