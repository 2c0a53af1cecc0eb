// purpose: Keeps the graph's own state to one node.
// use: schema
// writes: yes
CREATE CONSTRAINT kgrec_graph_id IF NOT EXISTS FOR (n:KgrecGraph) REQUIRE n.id IS UNIQUE
