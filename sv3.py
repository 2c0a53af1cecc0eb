import kglite,time,os,sys
kglite.set_query_warning_policy("silent")
g=kglite.open(sys.argv[1],durable="off")
for k in range(4):
    for lay in ("auto","compact"):
        g.cypher("MATCH (u:User {id:'u1'}) SET u.x=%d"%k); t=time.process_time(); g.save(layout=lay); print(lay, round(time.process_time()-t,3), end="; ")
print()
t=time.process_time(); g.cypher("MATCH (u:User {id:'u1'}) RETURN u.id").to_list(); print("read",time.process_time()-t)
