namespace rs echo

service Echo {
    // The same bytes.
    binary echo(1: required binary body),
}
