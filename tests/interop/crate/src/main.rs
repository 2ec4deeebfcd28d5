//! A peer of the real crate, as a filter: lines of stdin go to the other side, what arrives is printed.
//!
//!   crate-peer [OPTIONS] listen ADDR             the first that connects
//!   crate-peer [OPTIONS] connect ADDR ROLE       ROLE: server, client
//!   crate-peer [OPTIONS] party ADDR PEER...      one of a mesh: dials the PEERs, accepts the others
//!   crate-peer [OPTIONS] client PEER...          one of all of a mesh: hears the order, then speaks to the first
//!
//! OPTIONS: --identity CERT.der KEY.p8; --allow CERT.der (its key, and only such); --parties N; --clients N;
//! --agree: say digests first, and be silent until all agree. Written for this test: no timeouts, first error ends it.
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use stoffelnet::network_utils::{Network, NodePublicKey};
use stoffelnet::transports::quic::{NetworkManager, PeerConnection, QuicNetworkConfig, QuicNetworkManager};
use tokio::io::{AsyncBufReadExt, BufReader};

type Conn = Arc<dyn PeerConnection>;

fn say(line: String) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("stdout");
    out.flush().expect("stdout");
}

/// What the other side says, a line each; ends when it closes.
async fn hear(who: String, conn: Conn) {
    loop {
        match conn.receive().await {
            Ok(m) => say(format!("{who}{}", String::from_utf8_lossy(&m))),
            Err(e) => {
                eprintln!("{who}closed: {e}");
                return;
            }
        }
    }
}

/// Both ways until either side has ended. What the crate has sent is lost with its process, if it is still under way:
/// there is nothing to wait for.
async fn talk(conn: Conn) {
    let mut hearing = tokio::spawn(hear(String::new(), conn.clone()));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            _ = &mut hearing => break,
            line = lines.next_line() => match line.expect("stdin") {
                Some(line) => conn.send(line.as_bytes()).await.expect("send"),
                None => break,
            },
        }
    }
    conn.close().await.expect("close");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await; // the close is sent by a task
    std::process::exit(0); // a read of stdin would hold up the end
}

fn spki_of(cert: &str) -> NodePublicKey {
    // The manager is the only one that takes a certificate apart in public.
    let mut m = QuicNetworkManager::new();
    m.set_local_certificate_der(std::fs::read(cert).expect(cert), vec![]).expect(cert);
    m.get_public_key().expect("key").clone()
}

struct Options {
    agree: bool,
    parties: usize,
    clients: Option<usize>,
}

async fn party(mut m: QuicNetworkManager, o: &Options, peers: &[String]) {
    let mut accepting = m.clone();
    tokio::spawn(async move {
        loop {
            if let Err(e) = accepting.accept().await {
                eprintln!("accept: {e}");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    });
    for p in peers {
        let addr: SocketAddr = p.parse().expect("address");
        while let Err(e) = m.connect_as_server(addr).await {
            eprintln!("{addr}: {e}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    while !m.is_fully_connected(o.parties) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    while o.agree && m.verified_ordering().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    m.assign_party_ids();
    let me = m.compute_local_party_id().expect("id");
    eprintln!("party {me} of {}", o.parties);
    let mut hearing = Vec::new();
    for i in (0..o.parties).filter(|i| *i != me) {
        let conn = m.get_connection_by_party_id(i).expect("connection");
        hearing.push(tokio::spawn(hear(format!("{i} "), conn)));
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("stdin") {
        match line.split_once(' ') {
            Some((to, text)) if to != "all" => {
                m.send(to.parse().expect("id"), text.as_bytes()).await.expect("send");
            }
            Some((_, text)) => {
                m.broadcast(text.as_bytes()).await.expect("broadcast");
            }
            None => panic!("no receiver: {line}"),
        }
    }
    for h in hearing {
        h.await.expect("hear");
    }
}

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("ring");
    let mut args = std::env::args().skip(1).peekable();
    let mut config = QuicNetworkConfig { timeout_ms: 5000, ..Default::default() };
    let mut o = Options { agree: false, parties: 2, clients: None };
    let (mut identity, mut allowed) = (None, Vec::new());
    while args.peek().is_some_and(|a| a.starts_with("--")) {
        let name = args.next().expect("option");
        let mut value = || args.next().expect("value");
        match name.as_str() {
            "--identity" => identity = Some((value(), value())),
            "--allow" => allowed.push(spki_of(&value())),
            "--parties" => o.parties = value().parse().expect("number"),
            "--clients" => o.clients = Some(value().parse().expect("number")),
            "--agree" => o.agree = true,
            _ => panic!("{name}?"),
        }
    }
    let args: Vec<String> = args.collect();
    if o.agree {
        config.expected_parties = Some(o.parties);
        config.expected_clients = o.clients;
    }
    config.use_tls = !allowed.is_empty();
    let mut m = QuicNetworkManager::with_config(config);
    if let Some((cert, key)) = identity {
        m.set_local_certificate_der(std::fs::read(cert).expect("cert"), std::fs::read(key).expect("key"))
            .expect("identity");
    }
    m.set_allowed_certificate_public_keys(allowed);
    let addr: SocketAddr = args[1].parse().expect("address");
    match args[0].as_str() {
        "listen" => {
            m.listen(addr).await.expect("listen");
            eprintln!("listening");
            talk(m.accept().await.expect("accept")).await;
        }
        "connect" if args[2] == "client" => talk(m.connect_as_client(addr).await.expect("connect")).await,
        "connect" => talk(m.connect_as_server(addr).await.expect("connect")).await,
        "party" => {
            m.listen(addr).await.expect("listen");
            party(m, &o, &args[2..]).await;
        }
        "client" => {
            let mut conns = Vec::new();
            for p in &args[1..] {
                conns.push(m.connect_as_client(p.parse().expect("address")).await.expect("connect"));
            }
            let order = QuicNetworkManager::verify_node_ordering(&conns).await.expect("order");
            eprintln!("order of {}", order.node_count());
            talk(conns.swap_remove(0)).await;
        }
        _ => panic!("{}?", args[0]),
    }
}
