//! A web server on this machine that answers as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// A request: its first line and its headers.
#[derive(Clone, Debug)]
pub struct Request(pub Vec<String>);

impl Request {
    /// The path in the first line, or the host and port of a CONNECT.
    pub fn path(&self) -> &str {
        self.0[0].split(' ').nth(1).unwrap()
    }

    /// The byte that a part is asked for from.
    pub fn begin(&self) -> Option<usize> {
        let range = self.0.iter().find(|line| line.to_ascii_lowercase().starts_with("range:"))?;
        range.split_once("bytes=")?.1.trim_end_matches('-').parse().ok()
    }
}

/// Reads a request; `None` where the connection ends first.
pub fn request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let head: Vec<String> =
        lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    (!head.is_empty()).then_some(Request(head))
}

/// Answers with a status, headers and a body.
pub fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    // A client that is gone has its own reasons.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Answers with a file, or with the part of it that was asked for.
pub fn answer_file(stream: &mut TcpStream, request: &Request, body: &[u8]) {
    let whole = body.len();
    match request.begin() {
        None => answer(stream, "200 OK", &format!("Content-Length: {whole}\r\n"), body),
        Some(begin) if begin >= whole => {
            answer(stream, "416 Range Not Satisfiable", "Content-Length: 0\r\n", b"");
        }
        Some(begin) => {
            let range = format!("Content-Range: bytes {begin}-{}/{whole}\r\n", whole - 1);
            let length = format!("Content-Length: {}\r\n", whole - begin);
            answer(stream, "206 Partial Content", &(range + &length), &body[begin..]);
        }
    }
}

/// Announces a whole body and sends half of it.
pub fn answer_half(stream: &mut TcpStream, body: &[u8]) {
    answer(stream, "200 OK", &format!("Content-Length: {}\r\n", body.len()), &body[..body.len() / 2]);
}

/// Waits until the client closes the connection.
pub fn wait(stream: &mut TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    /// What was asked for.
    pub requests: Receiver<Request>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers each request with `answer`, which gets its number, from 0.
    pub fn start(mut answer: impl FnMut(usize, &Request, &mut TcpStream) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (told, requests) = channel();
        let serve = move || {
            let mut number = 0;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = request(&stream) else { continue };
                if request.path() == "/end" {
                    break;
                }
                told.send(request.clone()).unwrap_or(());
                answer(number, &request, &mut stream);
                let _ = stream.shutdown(Shutdown::Write);
                number += 1;
            }
        };
        Server { address, requests, thread: Some(std::thread::spawn(serve)) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.write_all(b"GET /end HTTP/1.1\r\n\r\n");
        }
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
