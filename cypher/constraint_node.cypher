// purpose: Makes the external id unique within a label.
// use: schema
// writes: yes
CREATE CONSTRAINT kgrec_{{label}}_id IF NOT EXISTS FOR (n:{{label}}) REQUIRE n.id IS UNIQUE
