// purpose: Finds nodes by ranges of their dense index, for exports in blocks.
// use: schema
// writes: yes
CREATE INDEX kgrec_{{label}}_index IF NOT EXISTS FOR (n:{{label}}) ON (n.index)
