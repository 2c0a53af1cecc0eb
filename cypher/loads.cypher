// purpose: Where the rows came from: the loads that nodes and edges name by their number.
// use: query
// columns: number, source, kind, files, content, rows, rejected, loaded_at, undone
// writes: no
MATCH (k:KgrecLoad)
RETURN k.number AS number, k.source AS source, k.kind AS kind, k.files AS files,
       k.content AS content, k.rows AS rows, k.rejected AS rejected, k.loaded_at AS loaded_at,
       k.undone AS undone
ORDER BY number
