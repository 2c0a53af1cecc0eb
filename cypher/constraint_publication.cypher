// purpose: Keeps the publications to one node per id.
// use: schema
// writes: yes
CREATE CONSTRAINT kgrec_publication_id IF NOT EXISTS
FOR (n:KgrecPublication) REQUIRE n.id IS UNIQUE
