// purpose: Removes the vector index of a label, so that vectors of another size can come.
// use: schema
// writes: yes
DROP INDEX kgrec_{{label}}_embedding IF EXISTS
