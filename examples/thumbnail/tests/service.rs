//! The service over both transports, against the same function in process.
#![forbid(unsafe_code)]

mod common;

use std::thread;

use common::{FIT, Host, picture};
use image::{GenericImageView, ImageFormat};
use speedysvc::{CallError, Code, Outcome};
use thumbnail::{Fit, ThumbnailClient, ThumbnailError, make};

const MESSAGE_MAX: u64 = 1 << 20;
const PICTURES: &[&str] = &["grace_hopper.jpg", "hopper_orientation_6.jpg", "horse.png", "microaneurysms.png"];

fn clients(host: &Host) -> Vec<ThumbnailClient> {
    host.addresses().iter().map(|address| ThumbnailClient::connect(address).unwrap()).collect()
}

/// Calls, and checks that the function in process says the same.
fn call(client: &ThumbnailClient, file: &[u8], fit: Fit) -> Result<Vec<u8>, ThumbnailError> {
    let answer = client.thumbnail(file, fit).map_err(|error| match error {
        CallError::App(error) => error,
        CallError::Rpc(error) => panic!("{error}"),
    });
    assert!(answer == make(file, fit), "the service and the function differ");
    answer
}

#[test]
fn results_are_those_of_the_function() {
    let host = Host::start(MESSAGE_MAX);
    for client in clients(&host) {
        for (name, size) in PICTURES.iter().zip([(68, 80), (80, 80), (98, 80), (80, 80)]) {
            let small = call(&client, &picture(name), FIT).unwrap();
            let small = image::load_from_memory_with_format(&small, ImageFormat::Jpeg).unwrap();
            assert_eq!(small.dimensions(), size, "{name}");
        }
    }
}

#[test]
fn pictures_are_turned_but_not_enlarged_and_lie_on_white() {
    let whole = Fit { width: 1000, height: 1000, quality: 95 };
    let made = |name: &str| image::load_from_memory(&make(&picture(name), whole).unwrap()).unwrap();
    // The camera was held sideways: what is left in the file is above in the thumbnail.
    let file = image::load_from_memory(&picture("hopper_orientation_6.jpg")).unwrap();
    let difference = |left: &image::DynamicImage| {
        let (left, right) = (left.to_luma8(), made("hopper_orientation_6.jpg").to_luma8());
        left.pixels().zip(right.pixels()).map(|(a, b)| u64::from(a.0[0].abs_diff(b.0[0]))).sum::<u64>()
    };
    assert!(difference(&file.rotate90()) * 10 < difference(&file));
    let horse = made("horse.png");
    assert_eq!(horse.dimensions(), (400, 328));
    assert_eq!(horse.get_pixel(0, 0).0, [255; 4]);
}

#[test]
fn broken_pictures_are_typed_errors_and_harm_no_other_call() {
    let host = Host::start(MESSAGE_MAX);
    for client in clients(&host) {
        for name in PICTURES {
            let file = picture(name);
            for part in [1, 5, 9].map(|tenths| &file[..file.len() * tenths / 10]) {
                let error = call(&client, part, FIT).unwrap_err();
                assert!(matches!(error, ThumbnailError::Broken(_)), "{name}, {} bytes: {error}", part.len());
                assert!(error.is_callers());
            }
            call(&client, &file, FIT).unwrap();
        }
        let expected = "the picture is broken: it is empty";
        assert_eq!(call(&client, b"", FIT).unwrap_err().to_string(), expected);
        for (file, found) in [(&b"not a picture"[..], "begins like no picture"), (b"GIF89a\x01\0\x01\0", "Gif")] {
            let error = call(&client, file, FIT).unwrap_err();
            assert!(matches!(&error, ThumbnailError::UnsupportedFormat(text) if text.contains(found)), "{error}");
        }
        let bad = call(&client, &picture("horse.png"), Fit { width: 0, ..FIT }).unwrap_err();
        assert!(matches!(bad, ThumbnailError::BadFit(_)), "{bad}");
        call(&client, &picture("horse.png"), FIT).unwrap();
    }
}

#[test]
fn a_small_file_that_claims_to_be_huge_is_refused_before_it_is_decoded() {
    let host = Host::start(MESSAGE_MAX);
    let mut jpeg = picture("grace_hopper.jpg");
    let header = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[header + 5..header + 9].fill(0xFF);
    for client in clients(&host) {
        match call(&client, &jpeg, FIT).unwrap_err() {
            ThumbnailError::TooLarge(pixels) => assert_eq!((pixels.width, pixels.height), (65_535, 65_535)),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_picture_over_the_limit_fails_alone() {
    let host = Host::start(20_000);
    for client in clients(&host) {
        match client.thumbnail(&picture("grace_hopper.jpg"), FIT).unwrap_err() {
            CallError::Rpc(error) => {
                assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted));
                assert!(error.message().contains("20000"), "{error}");
            }
            CallError::App(error) => panic!("{error}"),
        }
        call(&client, &picture("horse.png"), FIT).unwrap();
    }
}

#[test]
fn threads_share_a_client() {
    let host = Host::start(MESSAGE_MAX);
    let files: Vec<Vec<u8>> = PICTURES.iter().map(|name| picture(name)).collect();
    let expected: Vec<Vec<u8>> = files.iter().map(|file| make(file, FIT).unwrap()).collect();
    for client in clients(&host) {
        thread::scope(|scope| {
            for first in 0..6 {
                let (client, files, expected) = (&client, &files, &expected);
                scope.spawn(move || {
                    for place in (first..first + files.len()).map(|place| place % files.len()) {
                        assert_eq!(client.thumbnail(&files[place], FIT).unwrap(), expected[place]);
                        assert!(matches!(client.thumbnail(b"?", FIT), Err(CallError::App(_))));
                    }
                });
            }
        });
    }
}
