// purpose: Keeps the list of loads to one entry per number.
// use: schema
// writes: yes
CREATE CONSTRAINT kgrec_load_id IF NOT EXISTS FOR (n:KgrecLoad) REQUIRE n.id IS UNIQUE
