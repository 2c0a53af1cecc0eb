// purpose: Finds the edges of a publication without walking all others.
// use: schema
// writes: yes
CREATE INDEX {{index}} IF NOT EXISTS FOR ()-[x:{{type}}]-() ON (x.run)
