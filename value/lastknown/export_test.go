package lastknown

// The file system of a Dir, for tests that make it fail or stop.
type (
	FileSystem = fileSystem
	TempFile   = tempFile
	OSFiles    = osFiles
)

// NewDirOn returns the store in the directory at path of another file system.
func NewDirOn(path string, files FileSystem) *Dir { return &Dir{path: path, files: files} }
