// Package cloudtest is a cloud in a file, and stand-ins for the programs that talk to one: gcloud, aws and packer. They know the calls of
// dev/lib/machine_images and no other ones.
package cloudtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// Cloud is all that there is. Calls are one after another: nothing guards the file.
type Cloud struct {
	// Google has the images of the one project by name.
	Google map[string]*GoogleImage
	// Amazon has regions by name, and each its images by id.
	Amazon map[string]*Region
}

// GoogleImage has the names that gcloud prints.
type GoogleImage struct {
	Name              string            `json:"name"`
	Status            string            `json:"status"`
	Family            string            `json:"family,omitempty"`
	CreationTimestamp string            `json:"creationTimestamp"`
	Labels            map[string]string `json:"labels,omitempty"`
	Deprecated        map[string]string `json:"deprecated,omitempty"`
	// Users may use it.
	Users []string `json:"users,omitempty"`
}

// Region is one of Amazon's.
type Region struct {
	Images map[string]*AmazonImage
	// Snapshots have tags, by their ids.
	Snapshots map[string]map[string]string
}

// AmazonImage is an AMI.
type AmazonImage struct {
	ImageID, Name, State, CreationDate, DeprecationTime string
	Public                                              bool
	Tags                                                map[string]string
	Snapshot                                            string
	// Pending is how often it is shown before it is available.
	Pending int
}

// ID is the id of something in a region, always the same.
func ID(kind, region, name string) string {
	return fmt.Sprintf("%s-%08x", kind, crc32.ChecksumIEEE([]byte(region+" "+name)))
}

// AddAmazon puts an available image with a snapshot into a region.
func (c *Cloud) AddAmazon(region, name, created string, tags map[string]string) *AmazonImage {
	in := c.region(region)
	image := &AmazonImage{ImageID: ID("ami", region, name), Name: name, State: "available", CreationDate: created, Tags: tags, Snapshot: ID("snap", region, name)}
	in.Images[image.ImageID], in.Snapshots[image.Snapshot] = image, map[string]string{}
	return image
}

// AMI is the image of a name that AddAmazon made in a region, or nil.
func (c *Cloud) AMI(region, name string) *AmazonImage {
	return c.region(region).Images[ID("ami", region, name)]
}

// AddGoogle puts an image that is ready into the project.
func (c *Cloud) AddGoogle(name, family, created string) *GoogleImage {
	image := &GoogleImage{Name: name, Status: "READY", Family: family, CreationTimestamp: created}
	c.Google[name] = image
	return image
}

func (c *Cloud) region(name string) *Region {
	if c.Amazon[name] == nil {
		c.Amazon[name] = &Region{Images: map[string]*AmazonImage{}, Snapshots: map[string]map[string]string{}}
	}
	return c.Amazon[name]
}

// New is an empty cloud.
func New() *Cloud { return &Cloud{Google: map[string]*GoogleImage{}, Amazon: map[string]*Region{}} }

const cloudFile = "cloud.json"

// Load reads the cloud in a directory; an absent one is empty.
func Load(dir string) (*Cloud, error) {
	cloud := New()
	text, err := os.ReadFile(filepath.Join(dir, cloudFile))
	if errors.Is(err, fs.ErrNotExist) {
		return cloud, nil
	}
	if err != nil {
		return nil, err
	}
	return cloud, json.Unmarshal(text, cloud)
}

// Save writes it.
func (c *Cloud) Save(dir string) error {
	text, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, cloudFile), text, 0o600)
}
