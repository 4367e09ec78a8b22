//! Makes thumbnails of pictures in another process
