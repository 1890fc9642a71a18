package lastknown

// These are the file system of a Dir, for tests that make it fail or stop.
type (
	FileSystem = fileSystem
	TempFile   = tempFile
	OSFiles    = osFiles
)

// NewDirOn returns a Dir in the directory at path of the given file system.
func NewDirOn(path string, files FileSystem) *Dir { return &Dir{path: path, files: files} }
