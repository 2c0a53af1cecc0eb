// purpose: Keeps the pointer to the current publication to one node.
// use: schema
// writes: yes
CREATE CONSTRAINT kgrec_current_id IF NOT EXISTS FOR (n:KgrecCurrent) REQUIRE n.id IS UNIQUE
