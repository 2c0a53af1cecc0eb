// purpose: As the common one, with the vectors as they are: else 5.26 gives scores of coarser ones.
// use: schema
// writes: yes
CREATE VECTOR INDEX {{index}} IF NOT EXISTS FOR (n:{{node}}) ON (n.{{vector}})
OPTIONS {indexConfig: {`vector.dimensions`: {{dimensions}}, `vector.similarity_function`: 'cosine',
                       `vector.quantization.enabled`: false}}
