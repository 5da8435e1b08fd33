use core::ops::Range;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mail_dns::{Answer, Name, Question, Record};

use super::{DAY, Group, HOUR, Names, Population, START, Spf, chance, exponential, fraction, pick};
use crate::Random;

/// The zone of the block list: whoever is in it has 127.0.0.2.
pub const BLOCK_LIST: &str = "block.list.example";
/// The zone of the white list: whoever is in it has 127.0.0.2.
pub const WHITE_LIST: &str = "white.list.example";
/// The domain of the server, and its name in HELO.
pub const LOCAL_DOMAIN: &str = "here.example";

/// What the DNS says of all senders.
#[derive(Debug)]
pub struct World {
    /// One name is asked for a million times: a [`mail_dns::Zone`], which keeps names in order, would take most of the time.
    records: HashMap<Name, Vec<Record>>,
    /// Entries of the block list, and from when on they are there.
    listed: HashMap<Name, u64>,
}

impl World {
    /// The answer to a question at a time.
    pub fn answer(&self, question: &Question, at: u64) -> Answer {
        let name = &question.name;
        let records = self
            .records
            .get(name)
            .map(|records| (name.clone(), records));
        // Lists hold networks of IPv6, not addresses: the entry of a /64 has 16 labels less.
        let network = || {
            let labels = name.label_count();
            let network = (labels > 32).then(|| name.suffix(labels - 16))?;
            let records = self.records.get(&network)?;
            Some((network, records))
        };
        let Some((name, records)) = records.or_else(network) else {
            return Answer::nx_domain();
        };
        match self.listed.get(&name) {
            Some(from) if at < *from => Answer::nx_domain(),
            _ => {
                let of_kind = records
                    .iter()
                    .filter(|record| record.kind() == question.kind);
                Answer::found(of_kind.cloned())
            }
        }
    }

    fn insert(&mut self, name: Name, record: Record) {
        self.records.entry(name).or_default().push(record);
    }

    /// What a name leads to; a name that cannot be one leads nowhere.
    fn leads(&mut self, name: &str, address: IpAddr) {
        if let Ok(name) = name.parse() {
            self.insert(name, address_record(address));
        }
    }

    pub(super) fn new(population: &Population, random: &mut Random) -> (Self, Vec<Sender>) {
        let mut world = Self {
            records: HashMap::new(),
            listed: HashMap::new(),
        };
        // Test points, so that a server may ask whether the lists work (RFC 5782 §5).
        for list in [BLOCK_LIST, WHITE_LIST] {
            world.list(Ipv4Addr::new(127, 0, 0, 2).into(), list);
        }
        let mut networks = Networks::new(population);
        let mut senders: Vec<Sender> = Vec::new();
        for (index, group) in population.groups.iter().enumerate() {
            for _ in 0..group.senders.value {
                let mut random = Random::new(random.next());
                let addresses = networks.addresses(group, &mut random);
                let sender = Sender::new(senders.len(), group, index, population, random);
                senders.push(world.know(sender, group, addresses));
            }
        }
        (world, senders)
    }

    /// Enters a sender into the DNS.
    fn know(&mut self, mut sender: Sender, group: &Group, addresses: Vec<IpAddr>) -> Sender {
        let number = sender.number;
        let white = chance(&mut sender.random, group.white_listed.value);
        let words = group.helo.value;
        let shares = [
            words.domain,
            words.elsewhere,
            words.nowhere,
            words.private_literal,
            words.bare,
            words.ours,
        ];
        let word = pick(&mut sender.random, shares);
        for (at, address) in addresses.into_iter().enumerate() {
            let random = &mut sender.random;
            let name = reverse_name(random, group.names.value, address, at, &sender.domain);
            if let Some(name) = &name {
                let leads_back = chance(random, group.confirmed.value);
                self.leads(
                    name,
                    if leads_back {
                        address
                    } else {
                        elsewhere(address)
                    },
                );
                if let Ok(name) = name.parse() {
                    self.insert(Name::reverse(address), Record::Ptr(name));
                }
            }
            let helo = match (word, name) {
                (Some(0), _) | (None, None) => {
                    let name = format!("smtp{at}.{}", sender.domain);
                    self.leads(&name, address);
                    name
                }
                (Some(1), _) => {
                    let name = format!("www.{}", sender.domain);
                    self.leads(&name, elsewhere(address));
                    name
                }
                (Some(2), _) => format!("host{number}.internal.example"),
                (Some(3), _) => format!("[192.168.{}.{}]", number % 4, 1 + number % 250),
                (Some(4), _) => format!("host{number}"),
                (Some(_), _) => format!("mail.{LOCAL_DOMAIN}"),
                (None, Some(name)) => name,
            };
            if chance(&mut sender.random, group.block_listed.value) {
                let after = group.listed_after_hours.value;
                let from = match after > 0.0 {
                    true => sender.active.start + (after * HOUR) as u64,
                    false => 0,
                };
                let entry = self.list(address, BLOCK_LIST);
                self.listed.extend(entry.map(|entry| (entry, from)));
            }
            if white {
                self.list(address, WHITE_LIST);
            }
            sender.hosts.push((address, helo));
        }
        sender
    }

    /// Of IPv6 the /64 is listed.
    fn list(&mut self, address: IpAddr, list: &str) -> Option<Name> {
        let zone: Name = list.parse().ok()?;
        let entry = Name::reverse_below(address, &zone).ok()?;
        let entry = match address {
            IpAddr::V4(_) => entry,
            IpAddr::V6(_) => entry.suffix(entry.label_count().saturating_sub(16)),
        };
        self.insert(entry.clone(), Record::A(Ipv4Addr::new(127, 0, 0, 2)));
        Some(entry)
    }
}

const fn address_record(address: IpAddr) -> Record {
    match address {
        IpAddr::V4(address) => Record::A(address),
        IpAddr::V6(address) => Record::Aaaa(address),
    }
}

/// An address that is nobody's: TEST-NET-1, or one for documentation.
const fn elsewhere(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    }
}

/// One sender, and what is random about it.
#[derive(Debug)]
pub(super) struct Sender {
    /// Which of all it is.
    pub(super) number: usize,
    pub(super) group: usize,
    pub(super) domain: String,
    pub(super) early_talker: bool,
    /// What SPF says of its domain, where that is settled.
    pub(super) spf: Spf,
    pub(super) active: Range<u64>,
    pub(super) random: Random,
    /// Messages of a burst that are still to come.
    left_of_burst: u32,
    /// Leading bits of an address of IPv6 that stay.
    ipv6_prefix: u8,
    /// Addresses, and what each says in HELO.
    hosts: Vec<(IpAddr, String)>,
}

impl Sender {
    fn new(
        number: usize,
        group: &Group,
        index: usize,
        population: &Population,
        mut random: Random,
    ) -> Self {
        let days = f64::from(population.days.value);
        let (all, active) = (days * DAY, group.active_days.value.min(days) * DAY);
        let start = START + (fraction(&mut random) * (all - active)) as u64;
        // Nobody begins at the same second.
        let first = exponential(&mut random, DAY / group.messages_a_day.value);
        let domain = match group.honest {
            true => format!("domain{number}.example"),
            false => format!("bulk{number}.example"),
        };
        Self {
            number,
            group: index,
            domain,
            early_talker: chance(&mut random, group.early_talker.value),
            spf: group.spf.value.draw(&mut random),
            active: start + first..start + active as u64,
            random,
            left_of_burst: 0,
            ipv6_prefix: group.ipv6_prefix.value,
            hosts: Vec::new(),
        }
    }

    /// Seconds until its next message.
    pub(super) fn pause(&mut self, group: &Group) -> u64 {
        if self.left_of_burst > 0 {
            self.left_of_burst -= 1;
            return 0;
        }
        let burst = group.burst.value.max(1);
        self.left_of_burst = burst - 1;
        let mean = DAY * f64::from(burst) / group.messages_a_day.value;
        exponential(&mut self.random, mean)
    }

    /// One of its addresses, another each time, and what is said in HELO from there.
    pub(super) fn host(&mut self) -> (IpAddr, &str) {
        let at = self.random.below(self.hosts.len());
        let (address, helo) = &self.hosts[at];
        let address = match address {
            IpAddr::V6(address) if self.ipv6_prefix < 128 => {
                let behind = u128::MAX >> self.ipv6_prefix;
                let random = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
                Ipv6Addr::from_bits(address.to_bits() & !behind | random & behind).into()
            }
            address => *address,
        };
        (address, helo)
    }
}

/// Gives out addresses: networks that are shared, and such that are not.
struct Networks {
    hosting: usize,
    access: usize,
    taken: HashSet<IpAddr>,
    /// Networks of one sender alone that have been given out.
    own: u16,
}

/// Where the networks of each place begin, in IPv4 and in IPv6.
const HOSTING: (u32, u16) = (0x3000_0000, 0x2400);
const ACCESS: (u32, u16) = (0x3800_0000, 0x2500);
const OWN: (u32, u16) = (0x0b00_0000, 0x2600);

impl Networks {
    fn new(population: &Population) -> Self {
        Self {
            hosting: population.hosting_networks.value as usize,
            access: population.access_networks.value as usize,
            taken: HashSet::new(),
            own: 0,
        }
    }

    /// The addresses of one sender, spread over its networks.
    fn addresses(&mut self, group: &Group, random: &mut Random) -> Vec<IpAddr> {
        let place = group.place.value;
        let place = match pick(random, [place.hosting, place.access]) {
            Some(0) => HOSTING,
            Some(_) => ACCESS,
            None => OWN,
        };
        let ipv6 = chance(random, group.ipv6.value);
        let networks: Vec<u16> = (0..group.networks.value.max(1))
            .map(|_| self.network(place, random))
            .collect();
        let all = networks.iter().cycle().take(group.addresses.value as usize);
        all.map(|network| match ipv6 {
            true => self.ipv6(place, *network, group.ipv6_prefix.value, random),
            false => self.ipv4(place, *network, random),
        })
        .collect()
    }

    /// One of the networks of a place; of those that are not shared the next.
    fn network(&mut self, place: (u32, u16), random: &mut Random) -> u16 {
        let number = match place {
            HOSTING => random.below(self.hosting),
            ACCESS => random.below(self.access),
            _ => {
                self.own += 1;
                usize::from(self.own)
            }
        };
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    /// A host of the network that nobody has.
    fn ipv4(&mut self, place: (u32, u16), network: u16, random: &mut Random) -> IpAddr {
        let network = place.0 + 256 * u32::from(network);
        self.free(|| Ipv4Addr::from_bits(network + 1 + random.below(250) as u32).into())
    }

    /// A /64 of the network that nobody has, or a /48 beside it: sixteen networks of a place share a /32.
    fn ipv6(&mut self, place: (u32, u16), network: u16, prefix: u8, random: &mut Random) -> IpAddr {
        let (company, site) = (network >> 4, network & 15);
        self.free(|| {
            let host = 1 + random.below(0x7fff) as u16;
            let (site, host) = match prefix {
                ..=48 => (0x8000 | host, 0),
                _ => (site, host),
            };
            Ipv6Addr::new(place.1, company, site, host, 0, 0, 0, 1).into()
        })
    }

    fn free(&mut self, mut draw: impl FnMut() -> IpAddr) -> IpAddr {
        for _ in 0..100_000 {
            let address = draw();
            if self.taken.insert(address) {
                return address;
            }
        }
        panic!("the networks are full: give them more, or fewer senders");
    }
}

/// The name of an address, by what those who give such names do.
fn reverse_name(
    random: &mut Random,
    names: Names,
    address: IpAddr,
    number: usize,
    domain: &str,
) -> Option<String> {
    let [a, b, c, d] = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [_, a, _, b, _, _, c, d, ..] = address.octets();
            [a, b, c, d]
        }
    };
    let isp = format!("isp{}.example", u16::from(b) % 40);
    let kind = pick(
        random,
        [names.missing, names.dial_up, names.numbered_server],
    );
    let form = random.below(5);
    match (kind, form) {
        (Some(0), _) => None,
        (Some(1), 0) => Some(format!("dsl-{a}-{b}-{c}-{d}.pool.{isp}")),
        (Some(1), 1) => Some(format!("p{:05}.ppp.area{c}.{isp}", random.below(100_000))),
        (Some(1), 2) => Some(format!("{d}.{c}.{b}.{a}.dyn.{isp}")),
        (Some(1), 3) => Some(format!("host{d}.{b}-{c}.broad.{isp}")),
        // Not all lines have numbers that a rule knows.
        (Some(1), _) => Some(format!("cust-{:x}.line.{isp}", c % 16)),
        (Some(_), 0..3) => Some(format!(
            "mail-{}-{}{number}.{domain}",
            form + 1,
            (b'a' + c % 26) as char
        )),
        (Some(_), _) => Some(format!("vps{a}{b:03}{c:03}{d:03}.{domain}")),
        (None, _) if number == 0 => Some(format!("mail.{domain}")),
        (None, _) => Some(format!("out{number}.{domain}")),
    }
}
