// Package sbom writes the software bill of materials of a program, as an SPDX 2.3 document.
package sbom

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/open-executor/executor/dev/release/modules"
)

// Facts are all that the document is made from. The same facts make the same document.
type Facts struct {
	// Name is the file's, such as "executor"; Platform is such as "linux-amd64".
	Name, Platform string
	// Version is the program's, SHA256 its checksum in hexadecimal digits.
	Version, SHA256 string
	// Commit is that of the source, CommitTime the moment of the commit.
	Commit     string
	CommitTime time.Time
	// Main is the path of the module that the program is of.
	Main string
	// GoVersion is the toolchain's, such as "go1.26.8".
	GoVersion string
	Modules   []modules.Module
	// Origin says where the list of modules is from, as a sentence.
	Origin string
}

const (
	documentID   = "SPDXRef-DOCUMENT"
	programID    = "SPDXRef-Program"
	mainID       = "SPDXRef-MainModule"
	stdlibID     = "SPDXRef-StandardLibrary"
	notAsserted  = "NOASSERTION"
	purlCategory = "PACKAGE-MANAGER"
)

// New makes the document.
func New(facts Facts) Document {
	document := Document{
		ID:          documentID,
		Version:     "SPDX-2.3",
		DataLicense: "CC0-1.0",
		Name:        fmt.Sprintf("%s-%s-%s", facts.Name, facts.Version, facts.Platform),
		// A name that nothing else has: it holds the program's checksum.
		Namespace: fmt.Sprintf("https://%s/spdx/%s-%s-%s", facts.Main, facts.Name, facts.Platform, facts.SHA256),
		Creation: Creation{
			// Not the moment of writing: building a commit again must give the same bytes.
			Created:  facts.CommitTime.UTC().Format(time.RFC3339),
			Creators: []string{"Tool: " + facts.Main + "/dev/release-" + facts.Commit},
		},
		Comment: facts.Origin + " Versions and checksums of modules are those of go.mod and go.sum. " +
			"Licences were not looked into. The time of creation is that of the commit.",
	}
	document.add(program(facts), Relationship{documentID, "DESCRIBES", programID})
	document.add(mainModule(facts), Relationship{programID, "GENERATED_FROM", mainID})
	document.add(standardLibrary(facts), Relationship{programID, "DEPENDS_ON", stdlibID})
	used := make(map[string]int)
	for _, module := range facts.Modules {
		p := dependency(module, facts)
		if used[p.ID]++; used[p.ID] > 1 {
			p.ID = fmt.Sprintf("%s-%d", p.ID, used[p.ID])
		}
		document.add(p, Relationship{programID, "DEPENDS_ON", p.ID})
	}
	return document
}

func (d *Document) add(p Package, relationship Relationship) {
	d.Packages = append(d.Packages, p)
	d.Relationships = append(d.Relationships, relationship)
}

func program(facts Facts) Package {
	return Package{
		ID: programID, Name: facts.Name, Version: facts.Version, FileName: facts.Platform + "/" + facts.Name,
		Purpose: "APPLICATION", Supplier: notAsserted, DownloadLocation: notAsserted,
		Checksums: []Checksum{{"SHA256", facts.SHA256}},
	}
}

func mainModule(facts Facts) Package {
	return Package{
		ID: mainID, Name: facts.Main, Version: facts.Commit,
		Purpose: "SOURCE", Supplier: notAsserted, DownloadLocation: notAsserted,
		SourceInfo: "git commit " + facts.Commit,
		References: []Reference{purl(facts.Main, facts.Commit)},
	}
}

// standardLibrary is named as scanners for vulnerabilities know it.
func standardLibrary(facts Facts) Package {
	// Experiments follow the version after a space.
	toolchain, _, _ := strings.Cut(facts.GoVersion, " ")
	version := strings.TrimPrefix(toolchain, "go")
	return Package{
		ID: stdlibID, Name: "stdlib", Version: version,
		Purpose: "LIBRARY", Supplier: notAsserted, DownloadLocation: notAsserted,
		SourceInfo: "the Go toolchain " + facts.GoVersion,
		References: []Reference{purl("stdlib", version)},
	}
}

func dependency(module modules.Module, facts Facts) Package {
	path, version := module.Source()
	p := Package{
		Name: path, Version: version,
		Purpose: "LIBRARY", Supplier: notAsserted, DownloadLocation: notAsserted,
	}
	if module.Local() {
		// What is in the program is not what the path names elsewhere: it must not be taken for that.
		p.Name, p.Version = module.Path, facts.Commit
		p.SourceInfo = fmt.Sprintf("not the published module: go.mod replaces it by the directory %s of this commit", module.Replaced.Path)
	} else {
		p.SourceInfo = "checksum of the source in go.sum: " + module.Sum
		if module.Replaced != nil {
			p.SourceInfo += fmt.Sprintf("; go.mod puts it in the place of %s %s", module.Path, module.Version)
		}
		p.References = []Reference{purl(path, version)}
	}
	p.ID = "SPDXRef-Module-" + notInID.ReplaceAllString(p.Name+"-"+p.Version, "-")
	return p
}

// notInID is what an SPDX identifier can't hold.
var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]`)

func purl(path, version string) Reference {
	return Reference{purlCategory, "purl", modules.PackageURL(path, version)}
}
