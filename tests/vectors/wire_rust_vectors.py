# Writes wire-rust-vectors.json in the current directory, and prints more: the bytes that the Rust crate stoffelnet 0.1
# puts on the wire (bincode layouts), its ids (FNV-1a), its list digests (BLAKE3), STUN. Independent of the C code.
import struct, json
# ---------- BLAKE3 (hash mode, any length) ----------
IV=[0x6A09E667,0xBB67AE85,0x3C6EF372,0xA54FF53A,0x510E527F,0x9B05688C,0x1F83D9AB,0x5BE0CD19]
PERM=[2,6,3,10,7,0,4,13,1,11,12,5,9,14,15,8]
M=0xffffffff
def rotr(x,n): return ((x>>n)|(x<<(32-n)))&M
def g(s,a,b,c,d,mx,my):
    s[a]=(s[a]+s[b]+mx)&M; s[d]=rotr(s[d]^s[a],16); s[c]=(s[c]+s[d])&M; s[b]=rotr(s[b]^s[c],12)
    s[a]=(s[a]+s[b]+my)&M; s[d]=rotr(s[d]^s[a],8);  s[c]=(s[c]+s[d])&M; s[b]=rotr(s[b]^s[c],7)
def compress(cv,block,counter,blen,flags):
    m=list(struct.unpack('<16I',block))
    s=list(cv)+IV[:4]+[counter&M,counter>>32,blen,flags]
    for r in range(7):
        g(s,0,4,8,12,m[0],m[1]); g(s,1,5,9,13,m[2],m[3]); g(s,2,6,10,14,m[4],m[5]); g(s,3,7,11,15,m[6],m[7])
        g(s,0,5,10,15,m[8],m[9]); g(s,1,6,11,12,m[10],m[11]); g(s,2,7,8,13,m[12],m[13]); g(s,3,4,9,14,m[14],m[15])
        m=[m[PERM[i]] for i in range(16)]
    for i in range(8): s[i]^=s[i+8]; s[i+8]^=cv[i]
    return s
CS,CE,PARENT,ROOT=1,2,4,8
def chunk_out(data,idx):
    cv=IV; blocks=[data[i:i+64] for i in range(0,len(data),64)] or [b'']
    for i,b in enumerate(blocks):
        f=(CS if i==0 else 0)|(CE if i==len(blocks)-1 else 0)
        pb=b+bytes(64-len(b))
        if i==len(blocks)-1: return (cv,pb,idx,len(b),f)
        cv=compress(cv,pb,idx,64,f)[:8]
def cv_of(o): return compress(*o)[:8]
def parent_out(l,r): return (IV,struct.pack('<16I',*(l+r)),0,64,PARENT)
def tree(data,idx0):
    n=(len(data)+1023)//1024 or 1
    if n==1: return chunk_out(data,idx0)
    left=1
    while left*2<n: left*=2
    l=cv_of(tree(data[:left*1024],idx0)); r=cv_of(tree(data[left*1024:],idx0+left))
    return parent_out(l,r)
def blake3(data):
    o=tree(data,0); cv,b,c,l,f=o
    return struct.pack('<16I',*compress(cv,b,0,l,f|ROOT))[:32]
assert blake3(b'').hex()=='af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'
assert blake3(b'abc').hex()=='6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85'
# official test-vector inputs (i mod 251)
tv=lambda n: bytes(i%251 for i in range(n))
assert blake3(tv(1025)).hex().startswith('d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444'[:32])
# ---------- FNV-1a ----------
def fnv(b):
    h=0xcbf29ce484222325
    for x in b: h=((h^x)*0x100000001b3)&0xffffffffffffffff
    return h
# ---------- bincode ----------
u8=lambda v: struct.pack('<B',v); u16=lambda v: struct.pack('<H',v); u32=lambda v: struct.pack('<I',v); u64=lambda v: struct.pack('<Q',v)
bs=lambda b: u64(len(b))+b
st=lambda s: bs(s.encode())
boo=lambda v: u8(1 if v else 0)
import ipaddress
def sa(s):
    if s.startswith('['): h,p=s[1:].rsplit(']:',1)
    else: h,p=s.rsplit(':',1)
    ip=ipaddress.ip_address(h)
    return u32(0 if ip.version==4 else 1)+ip.packed+u16(int(p))
opt=lambda x: b'\0' if x is None else b'\1'+sa(x)
CT={'Host':0,'ServerReflexive':1,'PeerReflexive':2,'Relay':3}
def cand(f,c,prio,addr,ct,rel,stun): return st(f)+u32(c)+u32(0)+u32(prio)+sa(addr)+u32(CT[ct])+opt(rel)+opt(stun)
vv=lambda ks: u64(len(ks))+b''.join(bs(k) for k in ks)
V={}
V['Handshake{id=42}']=u32(0)+u64(42)
V['Handshake{id=0}']=u32(0)+u64(0)
V['Handshake{id=usize::MAX}']=u32(0)+u64(2**64-1)
V['OLD Handshake{role="CLIENT",id=42}']=u32(0)+st('CLIENT')+u64(42)
V['OLD Handshake{role="SERVER",id=1}']=u32(0)+st('SERVER')+u64(1)
V['HoneyBadger([1,2,3,4,5])']=u32(1)+bs(bytes([1,2,3,4,5]))
V['HoneyBadger([])']=u32(1)+bs(b'')
c4=cand('73262878ebd6a78d',1,2130706431,'192.168.1.100:5000','Host',None,None)
c4s=cand('fc6f3ef60a3a736',1,1694498815,'203.0.113.50:12345','ServerReflexive','192.168.1.100:5000','8.8.8.8:3478')
c6=cand('1450505958a396bb',1,2130706175,'[2001:db8::1]:5000','Host',None,None)
c6p=cand('a1',1,1862270719,'[2001:db8::2]:6000','PeerReflexive','[2001:db8::1]:5000',None)
V['cand host v4']=c4; V['cand srflx v4']=c4s; V['cand host v6']=c6; V['cand prflx v6']=c6p
V['IceCandidates(empty,u,p)']=u32(2)+st('u')+st('p')+u64(0)
V['IceCandidates(1 host v4)']=u32(2)+st('abcd')+st('secret_password_long_enough')+u64(1)+c4
V['IceCandidates(host v4, srflx v4, host v6, prflx v6)']=u32(2)+st('aB3/')+st('abcdefghijklmnopqrstuv')+u64(4)+c4+c4s+c6+c6p
V['PunchRequest v4']=u32(3)+u64(12345)+sa('192.168.1.100:9000')+u64(50)
V['PunchRequest v6']=u32(3)+u64(12345)+sa('[2001:db8::1]:9000')+u64(100)
V['PunchAck']=u32(4)+u64(99999)+u64(1700000000000)
V['ConnectivityCheck']=u32(5)+u64(777)+boo(True)+boo(False)+st('testufrag')
V['RelayRequest']=u32(6)+u64(3)
V['RelayOffer']=u32(7)+sa('192.168.1.100:8080')+bs(bytes.fromhex('deadbeef'))+u64(7)
V['RelayedData']=u32(8)+u64(1)+u64(2)+bs(bytes([10,20,30,40,50]))
V['Heartbeat']=u32(9)+u64(1700000000000)
V['NodeListRequest']=u32(10)
V['NodeListResponse([1,2,3],[4,5,6,7])']=u32(11)+vv([bytes([1,2,3]),bytes([4,5,6,7])])
V['NodeListResponse([])']=u32(11)+vv([])
V['ClientListDigest(AB*32,5,CD*32,3)']=u32(12)+bs(b'\xab'*32)+u64(5)+bs(b'\xcd'*32)+u64(3)
V['ClientListFull([10,20],[30,40,50])']=u32(13)+vv([bytes([10,20]),bytes([30,40,50])])
# frames
fr=lambda b: struct.pack('>I',len(b))+b
V['FRAME empty']=fr(b'')
V['FRAME hello']=fr(b'hello')
V['STREAM initiator first bytes: sync + frame(Hello, server!)']=b'\xff'+fr(b'Hello, server!')
V['FRAME NodeListRequest']=fr(u32(10))
# SPKI from P-256 scalar 1,2,3
P=0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff
A=P-3
G=(0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)
def add(p,q):
    if p==q: l=(3*p[0]*p[0]+A)*pow(2*p[1],-1,P)%P
    else: l=(q[1]-p[1])*pow(q[0]-p[0],-1,P)%P
    x=(l*l-p[0]-q[0])%P; return (x,(l*(p[0]-x)-p[1])%P)
pts=[G]; pts.append(add(G,G)); pts.append(add(pts[1],G))
pre=bytes.fromhex('3059301306072a8648ce3d020106082a8648ce3d03010703420004')
spki=[pre+x.to_bytes(32,'big')+y.to_bytes(32,'big') for x,y in pts]
assert all(len(s)==91 for s in spki)
for k,v in V.items(): print(f'{k}\n  len={len(v)} {v.hex()}')
print('--- FNV')
for n,b in [('empty',b''),('[1,2,3,4,5]',bytes([1,2,3,4,5])),('[0,1,2]',bytes([0,1,2])),('[0,1,3]',bytes([0,1,3])),('32x00',bytes(32)),('4096x00',bytes(4096)),('"a"',b'a'),('13-byte prefix',bytes.fromhex('3059301306072a8648ce3d0201'))]:
    print(n,f'0x{fnv(b):016x}',fnv(b))
for i,s in enumerate(spki): print(f'SPKI(d={i+1})',s.hex(),f'id=0x{fnv(s):016x}',fnv(s))
order=sorted(range(3),key=lambda i: spki[i]); print('sorted order of d=1,2,3 ->',[o+1 for o in order])
print('--- BLAKE3 digests')
for n,l in [('[]',[]),('[[1,2,3],[4,5,6]]',[bytes([1,2,3]),bytes([4,5,6])]),('[[10,20,30]]',[bytes([10,20,30])]),('[[1],[2]]',[b'\1',b'\2']),('sorted spki d=1,2,3',sorted(spki)),('spki d=1',[spki[0]])]:
    s=vv(l); print(n,'ser',s.hex() if len(s)<80 else f'{len(s)} bytes','digest',blake3(s).hex())
nd=blake3(vv(sorted(spki))); cd=blake3(vv([]))
d=u32(12)+bs(cd)+u64(0)+bs(nd)+u64(3)
print('ClientListDigest for 3 nodes, 0 clients', len(d), d.hex())
print('framed', fr(d).hex()[:8])
print('NodeListResponse 3 nodes len', len(u32(11)+vv(sorted(spki))), (u32(11)+vv(sorted(spki))).hex()[:60])
# STUN
tid=bytes(range(1,13))
req=struct.pack('>HHI',1,0,0x2112A442)+tid
print('stun req',req.hex())
def xor4(ip,port): return struct.pack('>HHBBHI',0x20,8,0,1,port^0x2112,int(ipaddress.ip_address(ip))^0x2112A442)
def map4(ip,port): return struct.pack('>HHBBHI',0x01,8,0,1,port,int(ipaddress.ip_address(ip)))
sw=b'stoffelnet-stun/1.0'; swa=struct.pack('>HH',0x8022,len(sw))+sw+bytes((-len(sw))%4)
at=xor4('10.100.0.2',5000)+map4('10.100.0.2',5000)+swa
print('stun test-server resp',(struct.pack('>HHI',0x101,len(at),0x2112A442)+tid+at).hex(), len(at)+20)
ip6=ipaddress.ip_address('2001:db8::1').packed
k=bytes.fromhex('2112a442')+tid
print('xor v6 correct attr', (struct.pack('>HHBBH',0x20,20,0,2,9876^0x2112)+bytes(a^b for a,b in zip(ip6,k))).hex())
print('xor v6 as sent by test server', (struct.pack('>HHBBH',0x20,20,0,2,9876^0x2112)+bytes(a^b for a,b in zip(ip6[:4],k[:4]))+ip6[4:]).hex())
# priorities
for n,t in [('host',126),('prflx',110),('srflx',100),('relay',0)]:
    for f,l in [('v4',65535),('v6',65534)]:
        print(n,f,(t<<24)+(l<<8)+255)
pp=lambda G,D:(1<<32)*min(G,D)+2*max(G,D)+(1 if G>D else 0)
print('pair host/host',pp(2130706431,2130706431),'G=100 D=50',pp(100,50),'G=50 D=100',pp(50,100),'host/srflx',pp(2130706431,1694498815),'srflx/host',pp(1694498815,2130706431),'1000/2000',pp(1000,2000))
json.dump({k:v.hex() for k,v in V.items()},open('wire-rust-vectors.json','w'),indent=1)
