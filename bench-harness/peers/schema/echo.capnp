@0xb1a5f6c2d3e40917;

interface Echo {
    # The same bytes.
    echo @0 (body :Data) -> (body :Data);
}
