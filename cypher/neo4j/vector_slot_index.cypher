// purpose: Makes the vector index of one of two places, unquantized: else 5.26 scores coarser vectors.
// use: schema
// writes: yes
CREATE VECTOR INDEX {{index}} IF NOT EXISTS FOR (n:{{node}}) ON (n.{{vector}})
OPTIONS {indexConfig: {`vector.dimensions`: {{dimensions}}, `vector.similarity_function`: 'cosine',
                       `vector.quantization.enabled`: false}}
