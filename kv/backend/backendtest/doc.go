// Package backendtest has a network for the tests of a store: a [Link] between one client and its server, which a test cuts and
// heals.
package backendtest
