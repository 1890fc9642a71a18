// Package stores has the checks of what a store promises: S1 to S6, W1 to W13, writes, errors and the optional abilities.
// Each file has one subject and begins with the rows of its checks. A new check is a new row. Checks lists the rows of all files, in the
// order in which they run.
package stores
