package capture_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// certificate makes a key and a certificate of it, signed by parent or by
// itself, and writes both as PEM files.
func certificate(t *testing.T, name string, parent *tls.Certificate) (cert tls.Certificate, certFile, keyFile string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: parent == nil, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signer, signKey := template, any(key)
	if parent != nil {
		signer, signKey = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signKey)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), name+".pem"), filepath.Join(t.TempDir(), name+"-key.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, certFile, keyFile
}

// An Engine behind TLS that wants a client certificate, read through a proxy
// that refuses everything but GET and HEAD.
func TestTLS(t *testing.T) {
	ca, caFile, _ := certificate(t, "ca", nil)
	server, _, _ := certificate(t, "server", &ca)
	_, certFile, keyFile := certificate(t, "client", &ca)
	_, otherCA, _ := certificate(t, "other", nil)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)

	e := dockertest.Start(t, dockertest.WithTCP())
	target, err := url.Parse("http://" + strings.TrimPrefix(e.TCPHost(), "tcp://"))
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy.Transport = transport
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("%s %s", r.Method, r.URL)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	front.Config.ErrorLog = nil
	front.TLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	t.Cleanup(front.Close)
	host := "tcp://" + front.Listener.Addr().String()

	a := startAgent(t, host, map[string]string{"Docker_TLS_CA": caFile, "Docker_TLS_Cert": certFile, "Docker_TLS_Key": keyFile})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout(sequence("out", 0, 100)...)
	a.waitRecords(100)
	checkSequence(t, "lines", sequence("out", 0, 100), a.texts(c.ID, ""))
	a.stop()

	b := startAgent(t, host, map[string]string{"Docker_TLS_CA": otherCA, "Docker_TLS_Cert": certFile, "Docker_TLS_Key": keyFile})
	b.waitLog("certificate")
	b.stop()
	unverified := startAgent(t, host, map[string]string{"Docker_TLS_Verify": "off", "Docker_TLS_Cert": certFile, "Docker_TLS_Key": keyFile})
	unverified.connected()
	unverified.stop()
}
