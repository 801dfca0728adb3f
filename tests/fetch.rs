//! `data fetch`: from mirrors that fail in every way, through proxies, and from directories.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nem_tui::data::fetch::{Fetch, FetchEvent, MNIST, Network, Origin, Published};
use nem_tui::data::mnist;
use sha2::{Digest, Sha256};
use support::server::{Request, Server, answer, answer_file, answer_half, request, wait};

/// How long the tests' mirrors may be silent: longer than a busy machine takes to answer.
const PATIENCE: Duration = Duration::from_secs(3);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The unpacked content of a small file of this name: images that cannot be packed well, or labels.
fn content(name: &str) -> Vec<u8> {
    let count: u32 = if name.starts_with("train") { 60 } else { 20 };
    let sizes: &[u32] = if name.contains("idx3") { &[count, 28, 28] } else { &[count] };
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    let mut state = 1u32;
    bytes.extend((0..sizes.iter().product()).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    bytes
}

fn published() -> Vec<Published> {
    let of = |name: &'static str| {
        let content = content(name);
        let sum: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        Published { name, size: content.len() as u64, sha256: sum.leak() }
    };
    mnist::FILES.map(of).into()
}

/// The file that a request is for.
fn asked(request: &Request) -> Vec<u8> {
    gzip(&content(request.path().rsplit('/').next().unwrap().trim_end_matches(".gz")))
}

/// A mirror without faults.
fn good() -> Server {
    Server::start(|_, request, stream| answer_file(stream, request, &asked(request)))
}

/// Fetches these files; the error, and the events that are not progress.
fn fetch_all(files: &[Published], from: &[&str], to: &Path) -> (Option<String>, Vec<String>) {
    let origins: Vec<Origin> = from.iter().map(|from| Origin::parse((*from).into()).unwrap()).collect();
    let network = Network::direct(PATIENCE);
    let mut told = Vec::new();
    let fetch = Fetch { files, origins: &origins, directory: to, network: &network };
    let result = fetch.run(&mut |event| match event {
        FetchEvent::Progress { done, total, .. } => assert!(total.is_none_or(|total| done <= total)),
        FetchEvent::Failed(why) => told.push(why),
        FetchEvent::Saved { path, .. } => told.push(format!("saved {}", path.display())),
    });
    (result.err().map(|e| e.to_string()), told)
}

/// The same with the first file alone.
fn fetch(from: &[&str], to: &Path) -> (Option<String>, Vec<String>) {
    fetch_all(&published()[..1], from, to)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const FIRST: &str = "train-images-idx3-ubyte";

#[test]
fn all_files_are_fetched_once_and_can_be_read() {
    let (server, place) = (good(), tempfile::tempdir().unwrap());
    let here = place.path().join("not/yet/there");
    let from = format!("{}/mnist/", server.url());
    let (error, told) = fetch_all(&published(), &[&from], &here);
    assert_eq!((error, told.len()), (None, 4));
    assert_eq!(names(&here), {
        let mut names = mnist::FILES.map(|name| format!("{name}.gz"));
        names.sort();
        names
    });
    assert!(mnist::check(&here).iter().all(|file| file.path.is_some() && file.what.is_ok()));
    assert_eq!(mnist::open(&here).unwrap().train.count(), 60);
    let requests = server.asked();
    assert_eq!(requests.len(), 4);
    assert!(
        requests.iter().all(|request| request.path().starts_with("/mnist/") && request.begin().is_none())
    );
    // What is there is not fetched again.
    assert_eq!(fetch_all(&published(), &[&from], &here), (None, vec![]));
    assert!(server.asked().is_empty());
}

/// Also where the next part comes from another mirror, or the mirror moves the file.
#[test]
fn a_download_that_breaks_off_is_continued() {
    let server = Server::start(|number, request, stream| match number {
        0 => answer_half(stream, &asked(request)),
        1 => answer(
            stream,
            "302 Found",
            "Location: /moved/train-images-idx3-ubyte.gz\r\nContent-Length: 0\r\n",
            b"",
        ),
        _ => answer_file(stream, request, &asked(request)),
    });
    let place = tempfile::tempdir().unwrap();
    let (error, told) = fetch(&[&server.url()], place.path());
    assert_eq!(error, None);
    assert!(told[0].contains("broke off after"), "{told:?}");
    let half = gzip(&content(FIRST)).len() / 2;
    let begins: Vec<_> = server.asked().iter().map(Request::begin).collect();
    assert_eq!(begins, [None, Some(half), Some(half)]);

    // The first mirror always breaks off where it begins; what it gave is not lost.
    let broken = Server::start(|number, request, stream| match number {
        0 => answer_half(stream, &asked(request)),
        _ => answer(
            stream,
            "206 Partial Content",
            "Content-Range: bytes 9-10/11\r\nContent-Length: 2\r\n",
            b"ab",
        ),
    });
    let (place, server) = (tempfile::tempdir().unwrap(), good());
    let (error, told) = fetch(&[&broken.url(), &server.url()], place.path());
    assert_eq!(error, None);
    assert!(told[1].contains("answered with a part that was not asked for"), "{told:?}");
    assert_eq!(server.asked()[0].begin(), Some(half));

    // Alone, it fails, and the same command continues.
    let broken = Server::start(|_, request, stream| match request.begin() {
        None => answer_half(stream, &asked(request)),
        Some(_) => answer(stream, "503 Service Unavailable", "Content-Length: 0\r\n", b""),
    });
    let place = tempfile::tempdir().unwrap();
    let error = fetch(&[&broken.url()], place.path()).0.unwrap();
    assert!(error.ends_with("answered 503 Service Unavailable; the same command continues"), "{error}");
    assert_eq!(names(place.path()), [format!("{FIRST}.part")]);
    assert_eq!(fetch(&[&server.url()], place.path()).0, None);
    assert_eq!(server.asked()[0].begin(), Some(half));
}

/// A part of another file, one that is too long, and a mirror that always sends the whole file.
#[test]
fn a_part_that_does_not_fit_is_fetched_again() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let (server, whole) = (good(), gzip(&content(FIRST)).len());
    for length in [10, whole, whole + 7] {
        std::fs::write(here.join(format!("{FIRST}.part")), vec![b'x'; length]).unwrap();
        assert_eq!(fetch(&[&server.url()], here).0, None);
        let begins: Vec<_> = server.asked().iter().map(Request::begin).collect();
        assert_eq!(begins, [Some(length), None], "{length}");
        std::fs::remove_file(here.join(format!("{FIRST}.gz"))).unwrap();
    }
    let server = Server::start(|_, request, stream| answer(stream, "200 OK", "", &asked(request)));
    std::fs::write(here.join(format!("{FIRST}.part")), b"xxx").unwrap();
    assert_eq!(fetch(&[&server.url()], here).0, None);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_is_not_the_file_is_refused_and_the_next_mirror_asked() {
    type Answer = fn(usize, &Request, &mut std::net::TcpStream);
    let faults: [(&str, Answer); 7] = [
        ("its SHA-256 is wrong", |_, request, stream| {
            let mut other = content(FIRST);
            other[100] ^= 1;
            answer_file(stream, request, &gzip(&other));
        }),
        ("its SHA-256 is wrong", |_, _, stream| answer(stream, "200 OK", "", b"<html>Please log in</html>")),
        ("its SHA-256 is wrong", |_, request, stream| {
            let whole = asked(request);
            // Without a length, the end of the connection is the end of the file.
            answer(stream, "200 OK", "", &whole[..whole.len() - 9]);
        }),
        ("its SHA-256 is wrong", |_, request, stream| {
            answer(stream, "200 OK", "", &[asked(request), vec![0; 1 << 20]].concat());
        }),
        ("answered 404 Not Found", |_, _, stream| {
            answer(stream, "404 Not Found", "Content-Length: 0\r\n", b"");
        }),
        ("cannot be reached", |_, _, stream| drop(stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"))),
        ("too many redirects", |_, _, stream| {
            answer(stream, "301 Moved Permanently", "Location: /again\r\nContent-Length: 0\r\n", b"");
        }),
    ];
    for (said, fault) in faults {
        let (bad, server) = (Server::start(fault), good());
        let place = tempfile::tempdir().unwrap();
        let error = fetch(&[&bad.url()], place.path()).0.unwrap();
        assert!(error.starts_with("cannot fetch train-images-idx3-ubyte: http://127.0.0.1"), "{error}");
        assert!(said == "cannot be reached" || error.contains(said), "{said}: {error}");
        assert!(error.ends_with("; --from names a mirror or a directory that has the files"), "{error}");
        assert!(!error.contains('\n') && names(place.path()).is_empty(), "{error}");
        let (error, told) = fetch(&[&bad.url(), &server.url()], place.path());
        assert_eq!((error, told.len()), (None, 2), "{told:?}");
        assert_eq!(names(place.path()), [format!("{FIRST}.gz")]);
    }
}

/// A mirror that is not there, one that never answers, and one that falls silent.
#[test]
fn nobody_waits_for_a_mirror_that_is_silent() {
    let gone = good().url();
    let dead = Server::start(|_, _, stream| wait(stream));
    let silent = Server::start(|_, request, stream| {
        answer_half(stream, &asked(request));
        wait(stream);
    });
    let (server, place) = (good(), tempfile::tempdir().unwrap());
    let error = fetch(&[&gone, &gone], place.path()).0.unwrap();
    let said = format!("{gone}/{FIRST}.gz and {gone}/{FIRST}.gz cannot be reached: ");
    assert!(error.contains(&said) && error.matches("refused").count() == 1, "{error}");
    let (error, told) = fetch(&[&gone, &dead.url(), &silent.url(), &server.url()], place.path());
    assert_eq!(error, None);
    assert!(told[0].contains("cannot be reached") && told[0].contains("refused"), "{told:?}");
    assert!(told[1].contains("sent nothing for 3 seconds"), "{told:?}");
    assert!(told[2].contains("sent nothing for 3 seconds after") && told[2].contains(" of "), "{told:?}");
    assert!(server.asked()[0].begin().is_some());
}

#[test]
fn files_are_copied_from_a_directory_in_all_their_forms() {
    let source = tempfile::tempdir().unwrap();
    let [images, labels, test_images, test_labels] = mnist::FILES;
    std::fs::create_dir_all(source.path().join("MNIST/raw")).unwrap();
    std::fs::write(source.path().join(format!("MNIST/raw/{images}")), content(images)).unwrap();
    std::fs::write(source.path().join("train-labels.idx1-ubyte"), content(labels)).unwrap();
    std::fs::write(source.path().join(format!("{test_images}.gz")), gzip(&content(test_images))).unwrap();
    let place = tempfile::tempdir().unwrap();
    let from = source.path().to_str().unwrap();
    let error = fetch_all(&published(), &[from], place.path()).0.unwrap();
    assert!(error.contains(&format!("{from} has no {test_labels}, plain or as .gz")), "{error}");
    // Packed in another way, and with another name inside.
    std::fs::write(source.path().join(test_labels), gzip(&content(test_labels))).unwrap();
    assert_eq!(fetch_all(&published(), &[from], place.path()).0, None);
    let expected = [format!("{test_images}.gz"), format!("{test_labels}.gz"), images.into(), labels.into()];
    assert_eq!(names(place.path()), expected);
    assert!(mnist::check(place.path()).iter().all(|file| file.what.is_ok()));
}

/// A damaged file is replaced, whatever its form; a whole one with other content may be wanted.
#[test]
fn damaged_files_are_replaced_and_others_stay() {
    let (server, place) = (good(), tempfile::tempdir().unwrap());
    let here = place.path();
    let whole = content(FIRST);
    for (name, bytes) in [
        (format!("{FIRST}.gz"), gzip(&whole)[..500].to_vec()),
        (FIRST.to_owned(), whole[..whole.len() - 1].to_vec()),
        ("train-images.idx3-ubyte".to_owned(), b"<html>".to_vec()),
        (FIRST.to_owned(), Vec::new()),
    ] {
        std::fs::write(here.join(name), bytes).unwrap();
        assert_eq!(fetch(&[&server.url()], here).0, None);
        assert_eq!(names(here), [format!("{FIRST}.gz")]);
    }
    let mut other = whole;
    other[16] ^= 1;
    std::fs::write(here.join(FIRST), &other).unwrap();
    server.asked();
    let error = fetch_all(&published(), &[&server.url()], here).0.unwrap();
    assert!(error.contains(FIRST) && error.contains("is not MNIST's file and is not replaced"), "{error}");
    assert!(server.asked().is_empty());
    assert_eq!(std::fs::read(here.join(FIRST)).unwrap(), other);
}

#[test]
fn two_do_not_fetch_into_one_directory() {
    let (server, place) = (good(), tempfile::tempdir().unwrap());
    let part = std::fs::File::create(place.path().join(format!("{FIRST}.part"))).unwrap();
    part.lock().unwrap();
    let error = fetch(&[&server.url()], place.path()).0.unwrap();
    assert!(error.contains("another process is fetching MNIST into it; wait until that ends"), "{error}");
    part.unlock().unwrap();
    assert_eq!(fetch(&[&server.url()], place.path()).0, None);
}

#[test]
fn the_sums_are_of_the_files_that_the_reader_wants() {
    for (file, name) in MNIST.iter().zip(mnist::FILES) {
        let header = if name.contains("images") { 16 } else { 8 };
        let count = if name.starts_with("train") { 60_000 } else { 10_000 };
        let item = if name.contains("images") { 28 * 28 } else { 1 };
        assert_eq!((file.name, file.size), (name, header + count * item));
        assert_eq!(file.sha256.len(), 64);
    }
}

/// The program, in an environment without proxies, with a home of its own.
fn program(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nem-tui"));
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.current_dir(here).env("HOME", here).env("XDG_DATA_HOME", here.join("data"));
    command.args(["data", "fetch", "mnist"]).args(arguments);
    command
}

/// One line on stderr.
fn refused(output: &Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(code == 2 && error.starts_with("error: ") || error.trim_end().lines().count() == 1, "{error}");
    error
}

/// The command's own table refuses the tests' small files, so only failures can be seen here.
#[test]
fn the_command_says_what_is_wrong_in_one_line() {
    let (server, place) = (good(), tempfile::tempdir().unwrap());
    let here = place.path();
    let url = server.url();
    let output = program(here, &["--from", &url]).output().unwrap();
    let error = refused(&output, 1);
    assert!(error.contains("train-images-idx3-ubyte.gz is not MNIST's file"), "{error}");
    assert!(here.join("data").read_dir().unwrap().count() > 0, "the data directory is the default");

    let secure = url.replace("http:", "https:");
    let error = refused(&program(here, &["--from", &secure]).output().unwrap(), 1);
    assert!(error.contains("train-images-idx3-ubyte.gz ended the connection without an answer"), "{error}");
    let error = refused(&program(here, &["--from", "ftp://127.0.0.1"]).output().unwrap(), 2);
    assert!(error.contains("ftp:// is not supported"), "{error}");
    let error = refused(&program(here, &["--from", "nowhere"]).output().unwrap(), 1);
    assert!(error.contains("nowhere has no train-images-idx3-ubyte"), "{error}");
    std::fs::write(here.join("file"), "no certificate").unwrap();
    let error = refused(&program(here, &["--out", "file"]).output().unwrap(), 1);
    assert!(error.contains("cannot create file"), "{error}");
    let error = refused(&program(here, &[]).env("SSL_CERT_FILE", "file").output().unwrap(), 1);
    assert!(error.contains("file: has no certificates; SSL_CERT_FILE names it"), "{error}");
}

#[test]
fn proxies_are_asked_and_named_when_they_fail() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let refuses = Server::start(|_, _, stream| answer(stream, "403 Forbidden", "Content-Length: 0\r\n", b""));
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let mut command = program(here, &["--from", "http://mnist.invalid/files"]);
        let error = refused(&command.env(variable, refuses.url()).output().unwrap(), 1);
        assert!(error.contains(&format!("through the proxy {}", &refuses.url()[7..])), "{variable}: {error}");
        assert!(refuses.asked()[0].path().contains("mnist.invalid"), "{variable}");
    }
    // A proxy that passes on what it is asked for; the tests' small file then has the wrong sum.
    let passes = Server::start(|_, asked_of_proxy, stream| {
        let inner = match asked_of_proxy.0[0].starts_with("CONNECT") {
            true => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                request(stream).unwrap()
            }
            false => asked_of_proxy.clone(),
        };
        answer_file(stream, &inner, &asked(&inner));
    });
    let mut command = program(here, &["--from", "http://mnist.invalid/files"]);
    let error = refused(&command.env("HTTP_PROXY", passes.url()).output().unwrap(), 1);
    assert!(error.contains("mnist.invalid/files/train-images-idx3-ubyte.gz is not MNIST's file"), "{error}");
    // Where no proxy is wanted, the mirror itself is asked.
    let server = good();
    let mut command = program(here, &["--from", &server.url()]);
    command.env("HTTP_PROXY", refuses.url()).env("NO_PROXY", "127.0.0.1");
    refused(&command.output().unwrap(), 1);
    assert_eq!((server.asked().len(), refuses.asked().len()), (1, 0));
}

/// The limit on files fails writes as a full disk does.
#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_is_full_is_said() {
    let (server, place) = (good(), tempfile::tempdir().unwrap());
    let inner = program(place.path(), &["--from", &server.url(), "--out", "o"]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1 && exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(place.path()).env("NO_PROXY", "127.0.0.1");
    let error = refused(&command.output().unwrap(), 1);
    assert!(error.contains("cannot write to o/train-images-idx3-ubyte.part: "), "{error}");
}

/// While the mirror is silent, too; what has arrived stays for the next time. SIGINT may be ignored by a shell's `&`.
#[test]
#[cfg(unix)]
fn a_request_to_stop_is_heeded_at_once() {
    let (sent, is_silent) = std::sync::mpsc::channel();
    let server = Server::start(move |number, request, stream| match number {
        0 => answer_half(stream, &asked(request)),
        // By now the program has written the half.
        1 => {
            sent.send(()).unwrap();
            wait(stream);
        }
        _ => answer_file(stream, request, &asked(request)),
    });
    let place = tempfile::tempdir().unwrap();
    let arguments = ["--from", &server.url(), "--out", "o"];
    let child = program(place.path(), &arguments).stderr(Stdio::piped()).spawn().unwrap();
    is_silent.recv().unwrap();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "the same command continues");
    assert!(told.ends_with("stopped before it was finished; the same command continues it\n"), "{told}");
    assert_eq!(names(&place.path().join("o")), [format!("{FIRST}.part")]);
    refused(&program(place.path(), &arguments).output().unwrap(), 1);
    let begins: Vec<_> = server.asked().iter().map(Request::begin).collect();
    let half = Some(gzip(&content(FIRST)).len() / 2);
    assert_eq!(begins, [None, half, half, None]);
}
