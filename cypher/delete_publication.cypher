// purpose: Deletes a retired publication, of which nothing is left.
// use: load
// parameters: id
// writes: yes
MATCH (p:KgrecPublication {id: $id, state: 'retired'})
DELETE p
