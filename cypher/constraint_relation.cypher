// purpose: Keeps the catalogue to one entry per edge set.
// use: schema
// writes: yes
CREATE CONSTRAINT kgrec_relation_id IF NOT EXISTS FOR (n:KgrecRelation) REQUIRE n.id IS UNIQUE
