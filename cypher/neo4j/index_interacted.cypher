// purpose: Finds interactions by ranges of their time, for windows.
// use: schema
// writes: yes
CREATE INDEX kgrec_interacted_time IF NOT EXISTS FOR ()-[x:INTERACTED]-() ON (x.time)
